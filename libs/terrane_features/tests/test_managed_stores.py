"""Postgres and Redis of a provider, by variables alone: TLS, an unknown authority, a user with few rights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from serving import running, until

from terrane.postgres import PostgresResource
from terrane_dev.managed_stores import REDIS_USER, ManagedPostgres
from terrane_features.engine import reading
from terrane_features.feast_internals import offline_connection, offline_conninfo
from terrane_features.server.app import App
from terrane_features.server.registry.watch import RegistryWatcher
from terrane_features.server.settings import read_settings

pytestmark = pytest.mark.integration

ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


def test_a_run_writes_what_feasts_own_client_reads(managed) -> None:
    assert managed.run().success
    online = managed.online(1, 2)
    assert online["entries_total"] == [3, 6]
    row = managed.row(managed.view, 2)
    assert row is not None
    assert row["entries_total"] == 6


def test_the_feature_server_reads_both(managed) -> None:
    assert managed.run().success
    settings = read_settings(managed.feast.folder)
    with running(App(settings, RegistryWatcher(settings, 0.2))) as client:
        until(lambda: client.get("/ready").status_code == 200, 20)
        asked = {"features": ["user_journal_features:entries_total"], "entities": {"user_id": [2]}}
        answer: httpx.Response = client.post("/get-online-features", json=asked)
    assert answer.status_code == 200, answer.text
    assert [result["values"] for result in answer.json()["results"]] == [[2], [6]]


def test_the_offline_store_and_what_reads_it_are_encrypted_and_check_the_server(
    managed, managed_postgres: ManagedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    config = managed.feast.store().config
    with offline_connection(config) as connection:
        assert connection.execute(ENCRYPTED).fetchone() == (True,)
    with psycopg.connect(offline_conninfo(config)) as connection:
        assert connection.execute(ENCRYPTED).fetchone() == (True,)
    (batch,) = reading.batches(managed.warehouse.uri(), ENCRYPTED, {})
    assert batch["ssl"].to_pylist() == [True]
    monkeypatch.setenv("WAREHOUSE_SSLROOTCERT", str(managed_postgres.authority.another))
    config = managed.feast.store().config
    with pytest.raises(psycopg.OperationalError, match="verify failed"), offline_connection(config):
        pass
    with pytest.raises(psycopg.OperationalError, match="verify failed"):
        psycopg.connect(offline_conninfo(config))
    with pytest.raises(psycopg.OperationalError, match="verify failed"):
        list(reading.batches(PostgresResource.from_process("WAREHOUSE").uri(), ENCRYPTED, {}))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WAREHOUSE_SSLROOTCERT", "another"),
        ("WAREHOUSE_SSLMODE", "disable"),
        ("WAREHOUSE_PASSWORD", "nobodys-secret"),
        ("REDIS_CA_FILE", "another"),
        ("REDIS_CA_FILE", "null"),
        ("REDIS_TLS", "false"),
        ("REDIS_USERNAME", "nobody"),
        ("REDIS_PASSWORD", "nobodys-secret"),
    ],
)
def test_a_run_that_is_refused_names_the_variable_and_shows_no_password(
    managed, managed_postgres: ManagedPostgres, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, str(managed_postgres.authority.another) if value == "another" else value)
    refused = replace(managed, warehouse=PostgresResource.from_process("WAREHOUSE"))
    ended = refused.run(raise_on_error=False)
    failures = ended.get_step_failure_events()
    told = "".join(str(failure.event_specific_data) for failure in failures)
    assert variable in told
    assert "nobodys-secret" not in told
    assert managed.warehouse.password not in told
    # A server of TLS closes what is none, as one that goes down closes all.
    assert any(event.is_step_up_for_retry for event in ended.all_events) == (variable == "REDIS_TLS")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REDIS_CA_FILE", "another"),
        ("REDIS_CA_FILE", "/nowhere/ca.crt"),
        ("REDIS_USERNAME", "nobody"),
        ("REDIS_PASSWORD", "nobodys-secret"),
        ("WAREHOUSE_SSLROOTCERT", "another"),
        ("WAREHOUSE_USER", "nobody"),
    ],
)
def test_a_server_that_is_refused_is_not_ready_and_says_why(
    managed,
    managed_postgres: ManagedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    value: str,
) -> None:
    assert managed.run().success
    monkeypatch.setenv(variable, str(managed_postgres.authority.another) if value == "another" else value)
    settings = read_settings(managed.feast.folder)
    with running(App(settings, RegistryWatcher(settings, 0.2))) as client:
        until(lambda: variable in client.get("/ready").text, 10)
        ready = client.get("/ready")
    assert ready.status_code == 503
    assert "nobodys-secret" not in ready.text + caplog.text


def test_what_nobody_set_leaves_stores_as_they_were(stores, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAREHOUSE_SSLMODE", "WAREHOUSE_SSLROOTCERT", "REDIS_USERNAME", "REDIS_TLS", "REDIS_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert stores.feast.online_store().tls is None
    assert stores.feast.online_store().username == ""
    assert stores.run().success
    assert stores.online(1)["entries_total"] == [3]


def test_the_user_of_the_tests_may_not_administer(managed) -> None:
    from redis import exceptions

    with managed.feast.online_store().client() as client, pytest.raises(exceptions.NoPermissionError):
        client.config_get("maxmemory")
    assert managed.feast.online_store().username == REDIS_USER


def test_sentinels_of_a_redis_without_tls_are_asked_without_it() -> None:
    from terrane_features.online_store.address import address_of

    string = "127.0.0.1:1,db=1,username=,password=p,ssl=false,ssl_ca_certs=null,socket_timeout=3"
    address = address_of({"connection_string": string, "redis_type": "redis_sentinel"})
    assert address.options == {"db": 1, "username": "", "password": "p", "socket_timeout": 3}
    # A connection refuses what it does not know when it is made.
    client: Any = address.client()
    client.connection_pool.make_connection()
