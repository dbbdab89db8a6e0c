"""TLS, users with few rights, passwords and clusters: as Feast's connection string says, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from feast import ValueType
from feast.types import Int64, String
from golden import OURS, Golden, hashes, materialize, view_of
from redis import Redis, RedisError
from redis_kinds import TlsRedis, cluster_client, redis_cluster, tls_redis

from terrane_dev.testing import RedisServer
from terrane_features.engine.cluster import masters
from terrane_features.online_store import rows as online_rows
from terrane_features.repository.model import Feature, FeatureView

pytestmark = pytest.mark.integration
ROWS = 5000
VIEW = view_of("golden", {"id": ValueType.STRING}, {"x": Int64, "text": String})


@pytest.fixture(scope="module")
def tls() -> Iterator[TlsRedis]:
    with tls_redis() as server:
        yield server


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[list[int], str]]:
    with redis_cluster() as made:
        yield made


@pytest.fixture
def filled(golden: Golden) -> Golden:
    """A table with keys of many slots, some with a hash tag of their own."""
    golden.sql(
        f"""create table golden as
            select case when u % 3 = 0 then '{{tag' || u % 7 || '}}' || u else 'k' || u end as id, u as x,
                repeat('t', (u % 40)::int) as text, '2026-01-01Z'::timestamptz + u * interval '1 s' as at
            from generate_series(1::int8, {ROWS}) u"""
    )
    return golden


def write(golden: Golden, connection: str, **options: Any) -> None:
    golden.connection = connection
    materialize(golden.store(OURS, **options), VIEW)


def expected(filled: Golden, two: tuple[Redis, Redis]) -> dict:
    """What stock writes to a plain Redis."""
    materialize(filled.store("local", 20), VIEW)
    return hashes(two[0])


@pytest.mark.parametrize("overwrite", [True, False])
def test_tls(filled: Golden, two: tuple[Redis, Redis], tls: TlsRedis, overwrite: bool) -> None:
    wanted = expected(filled, two)
    connection = f"127.0.0.1:{tls.port},ssl=true,ssl_ca_certs={tls.certificate},password={tls.password}"
    write(filled, connection, skip_dedup=overwrite)
    with tls.client() as client:
        assert hashes(client) == wanted
        client.flushdb()


def test_a_certificate_of_nobody_we_trust_is_refused(filled: Golden, tls: TlsRedis) -> None:
    with pytest.raises(RedisError, match="certificate verify failed"):
        write(filled, f"127.0.0.1:{tls.port},ssl=true,retry=null,password={tls.password}")


def test_a_user_of_the_access_list(filled: Golden, two: tuple[Redis, Redis], redis_server: RedisServer) -> None:
    wanted = expected(filled, two)
    two[1].acl_setuser("writer", enabled=True, passwords=["+12345"], categories=["+@hash", "+@connection"], keys=["*"])
    write(filled, f'127.0.0.1:{redis_server.port},db=21,username=writer,password="12345"')
    assert hashes(two[1]) == wanted
    two[1].acl_deluser("writer")


def test_a_user_who_may_not_write_is_told_so(
    filled: Golden, two: tuple[Redis, Redis], redis_server: RedisServer
) -> None:
    for name, rights in (("reader", "+@read"), ("nobody", "+@write")):
        two[1].acl_setuser(name, enabled=True, passwords=["+12345"], categories=[rights, "+@connection"], keys=["*"])
    for overwrite in (True, False):
        with pytest.raises(RedisError, match="(?i)no permissions to run the 'hset' command"):
            write(filled, f'127.0.0.1:{redis_server.port},db=21,username=reader,password="12345"', skip_dedup=overwrite)
    with pytest.raises(RedisError, match="(?i)no permissions to run the 'hget' command"):
        write(filled, f'127.0.0.1:{redis_server.port},db=21,username=nobody,password="12345"')
    assert two[1].dbsize() == 0
    two[1].acl_deluser("reader", "nobody")


def test_a_wrong_password_is_refused(filled: Golden, redis_server: RedisServer) -> None:
    with pytest.raises(RedisError, match="(?i)invalid username-password pair"):
        write(filled, f"127.0.0.1:{redis_server.port},retry=null,password=wrong")


def test_a_server_that_is_out_of_memory_says_so(filled: Golden, two: tuple[Redis, Redis]) -> None:
    two[1].config_set("maxmemory", 1)
    try:
        with pytest.raises(RedisError, match="command not allowed when used memory > 'maxmemory'"):
            materialize(filled.store(OURS, 21, skip_dedup=True), VIEW)
    finally:
        two[1].config_set("maxmemory", 0)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_cluster(filled: Golden, two: tuple[Redis, Redis], cluster: tuple[list[int], str], overwrite: bool) -> None:
    wanted = expected(filled, two)
    ports, password = cluster
    connection = ",".join([*(f"127.0.0.1:{port}" for port in ports), f"password={password}"])
    with cluster_client(ports, password) as client:
        for _ in range(2):
            write(filled, connection, redis_type="redis_cluster", skip_dedup=overwrite, key_ttl_seconds=1000)
            found = {k: v for node in masters(client) for k, v in hashes(node).items()}
            assert found == wanted
        assert len([rows for rows in _sizes(client) if rows > 100]) == 3
        _count_and_remove(filled, client)
        assert _sizes(client) == [0, 0, 0]


def _sizes(client: Any) -> list[Any]:
    return [node.dbsize() for node in masters(client)]


def _count_and_remove(filled: Golden, client: Any) -> None:
    """What an asset does besides: counting rows, removing a field, removing all."""
    features = (Feature("x", "Int64"), Feature("text", "String"))
    view = FeatureView("golden", "", (("id", "STRING"),), features, "public.golden", "at", "")
    with filled.warehouse.connect() as connection:
        row = connection.execute("select pg_export_snapshot(), now()").fetchone()
        assert row is not None
        keys = online_rows.TableKeys(filled.warehouse, "golden", view, end=row[1], snapshot=row[0])
        present, samples = online_rows.count_present(client, keys)
        assert (present, len(set(samples))) == (ROWS, online_rows.SAMPLES)
        online_rows.remove_fields(client, keys, ("text",))
    assert {len(fields) for node in masters(client) for fields in hashes(node).values()} == {2}
    found = list(online_rows.scan(client, "golden", ("id",)))
    assert sum(online_rows.remove_rows(client, "golden", ("x", "text"), keys) for keys in found) == ROWS


def test_a_server_that_stops_answering_is_given_up(
    filled: Golden, two: tuple[Redis, Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("terrane_features.engine.cluster.TIMEOUT_S", 1)
    two[1].client_pause(60_000, all=False)
    with pytest.raises(RedisError, match="Redis took and gave nothing for 1 s"):
        materialize(filled.store(OURS, 21), VIEW)
    two[1].client_unpause()
