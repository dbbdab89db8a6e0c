"""From gold through Redis to an answer over HTTP, where each part alone looks right and the whole may be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest
from serving import until

from terrane_dev.servers.process import free_port
from terrane_dev.testing import RedisServer
from terrane_features.materialize.run import materialize

pytestmark = pytest.mark.integration
VIEW = "user_journal_features"
MORE = """
from feast import FeatureView, Field
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import {types}
from entities import user_entity

more = FeatureView(
    name="more",
    entities=[user_entity],
    schema=[Field(name="value", dtype={dtype})],
    source=PostgreSQLSource(name="more_source", table="gold.more", timestamp_field="at"),
)
"""
NEIGHBOUR_ROWS = 200_000


def add_view(stores, dtype: str, column: str, rows: str) -> None:
    (stores.feast.folder / "more.py").write_text(MORE.format(types=dtype, dtype=dtype))
    stores.sql(f"create table gold.more (user_id bigint primary key, at timestamptz not null, value {column})")
    stores.sql(f"insert into gold.more {rows}")


@contextmanager
def server(stores) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """The server as a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "terrane_features.server", "--port", str(port), "--refresh-seconds", "0.2"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "FEAST_REPO_PATH": stores.feast.repo_path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            until(lambda: _is_ready(client), 60)
            yield psutil.Process(process.pid), client
    finally:
        process.kill()
        process.wait()


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx.HTTPError:
        return False


def test_a_null_time_is_null_and_not_a_number(stores) -> None:
    add_view(stores, "UnixTimestamp", "timestamptz", "values (1, now(), '2026-01-02Z'), (2, now(), null)")
    stores.run()
    with server(stores) as (_, client):
        question = {"features": ["more:value"], "entities": {"user_id": [1, 2, 3]}}
        _, value = client.post("/get-online-features", json=question).json()["results"]
        assert value["values"] == [1767312000, None, None]
        assert value["statuses"] == ["PRESENT", "NULL_VALUE", "NOT_FOUND"]


def test_a_redis_that_lost_its_rows_is_not_ready_whoever_wrote_a_key_since(stores, redis_server: RedisServer) -> None:
    stores.run()
    with server(stores) as (_, client), stores.feast.online_store().client() as redis:
        redis.flushdb()
        assert client.get("/ready").status_code == 503
        redis.set("session:1", "x")
        for _ in range(5):
            answer = client.get("/ready")
            assert (answer.status_code, VIEW in answer.json()["problem"]) == (503, True)
        stores.run()
        until(lambda: _is_ready(client))


def test_names_that_nobody_knows_are_not_kept(stores) -> None:
    stores.run()
    with server(stores) as (process, client):
        before = process.memory_info().rss
        for n in range(60):
            unknown = f"k{n}{'x' * (7 << 20)}"
            question = {"features": [f"{VIEW}:is_active"], "entities": {"user_id": [1], unknown: [1]}}
            assert client.post("/get-online-features", json=question).status_code in (200, 400, 422)
        assert process.memory_info().rss - before < 64 << 20


def test_a_small_view_costs_the_same_beside_a_large_one_of_the_same_entity(stores) -> None:
    add_view(stores, "Int64", "bigint", f"select u, now(), u from generate_series(1, {NEIGHBOUR_ROWS}) u")
    stores.run()
    began = time.process_time()
    done = materialize(stores.feast, stores.warehouse, VIEW)
    assert time.process_time() - began < 1
    assert (done.entities, done.removed) == (stores.users, 0)
