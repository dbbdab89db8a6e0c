"""Redis or Postgres is stopped in the middle of a run: what a person reads, what is left, and how the next run goes."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pyarrow as pa
import pytest

from terrane_dev.testing import PostgresServer, RedisServer
from terrane_features.engine.cluster import ClusterConnections

pytestmark = pytest.mark.integration


@pytest.fixture
def after_first_batch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Calls something once, when Redis has taken the first batch of rows."""

    def arrange(action: Callable[[], None]) -> None:
        send = ClusterConnections.send
        pending = [action]

        def send_then_act(nodes: ClusterConnections, commands: pa.Array, *others: object) -> None:
            send(nodes, commands, *others)  # pyright: ignore[reportArgumentType]
            if pending and b"HSET" in commands[0].as_py():
                nodes.finish()
                pending.pop()()

        monkeypatch.setattr(ClusterConnections, "send", send_then_act)

    return arrange


def failure(result: dg.ExecuteInProcessResult, step: str) -> str:
    (event,) = [e for e in result.get_step_failure_events() if e.step_key == step]
    error = event.step_failure_data.user_failure_data
    assert error is not None
    return error.description or ""


def online_keys(stores) -> int:
    with stores.feast.online_store().client() as client:
        return client.dbsize()


@pytest.mark.slow
def test_redis_stopped_while_rows_are_written(stores, redis_server: RedisServer, after_first_batch) -> None:
    after_first_batch(redis_server.stop)
    result = stores.run(raise_on_error=False)
    redis_server.start()
    message = failure(result, "online__user_journal_features")
    assert message.startswith(
        f"Redis at 127.0.0.1:{redis_server.port}, database 1 failed while materialising user_journal"
    )
    assert "Rows written by then stay, none were removed" in message
    assert message.endswith("See that it is up, then re-execute this run.")
    assert online_keys(stores) == stores.batch_rows
    assert stores.sql("select count(*) from gold.user_journal_features") == [(stores.users,)]

    assert stores.run().success
    assert online_keys(stores) == stores.users


@pytest.mark.slow
def test_redis_away_from_the_start(stores, redis_server: RedisServer) -> None:
    redis_server.stop()
    result = stores.run(raise_on_error=False)
    redis_server.start()
    assert failure(result, "online__user_journal_features").startswith(f"Redis at 127.0.0.1:{redis_server.port}")
    assert result.asset_materializations_for_node("feast__registry")
    assert stores.run().success


def test_postgres_stopped_while_rows_are_written(stores, postgres_server: PostgresServer, after_first_batch) -> None:
    after_first_batch(postgres_server.stop)
    result = stores.run(raise_on_error=False)
    postgres_server.start()
    message = failure(result, "online__user_journal_features")
    assert message.startswith(
        f"Postgres at 127.0.0.1:{postgres_server.port}, database {stores.warehouse.database} failed"
    )
    assert "while materialising user_journal_features" in message
    assert stores.feast.store().get_feature_view("user_journal_features").materialization_intervals == []

    assert stores.run().success
    assert online_keys(stores) == stores.users
    assert stores.online(1)["entries_total"] == [3]


def test_postgres_away_from_the_start(stores, postgres_server: PostgresServer) -> None:
    postgres_server.stop()
    result = stores.run(raise_on_error=False)
    postgres_server.start()
    message = failure(result, "feast__registry")
    assert message.startswith(
        f"Postgres at 127.0.0.1:{postgres_server.port}, database {stores.warehouse.database} failed"
    )
    assert "while applying Feast's definitions" in message
    assert online_keys(stores) == 0
    assert stores.run().success
