"""Rows out of Postgres: in bounded batches, from one snapshot, with errors that are psycopg's."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from terrane.errors import Permanent
from terrane.postgres import PostgresResource
from terrane_dev.servers.process import free_port
from terrane_features.engine import reading
from terrane_features.materialize.snapshot import Source

pytestmark = pytest.mark.integration


def test_batches_are_small_whatever_the_query_gives(make_database: Callable[..., PostgresResource]) -> None:
    sizes = [len(b) for b in reading.batches(make_database().uri(), "select generate_series(1, 50000) as n", {})]
    assert sum(sizes) == 50000
    assert max(sizes) <= reading.BATCH_ROWS


def test_nothing_that_is_committed_later_is_seen(make_database: Callable[..., PostgresResource]) -> None:
    warehouse = make_database()
    with warehouse.connect() as connection:
        connection.execute("create table t as select 1 as n")
    with warehouse.connect() as exporting, warehouse.connect() as writing:
        (name,) = exporting.execute("select pg_export_snapshot()").fetchone() or ("",)
        writing.execute("insert into t values (2)")
        writing.commit()
        seen = [n for b in reading.batches(warehouse.uri(), "select n from t", {}, name) for n in b["n"].to_pylist()]
        now = [n for b in reading.batches(warehouse.uri(), "select n from t", {}) for n in b["n"].to_pylist()]
    assert (seen, now) == ([1], [1, 2])


def test_a_session_has_the_settings(make_database: Callable[..., PostgresResource]) -> None:
    query = "select current_setting('work_mem') as m"
    (batch,) = reading.batches(make_database().uri(), query, {"work_mem": "33MB"})
    assert batch["m"].to_pylist() == ["33MB"]


def test_a_server_that_is_away_is_psycopgs_error() -> None:
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        next(reading.batches(f"host=127.0.0.1 port={free_port()} user=x dbname=x", "select 1", {}))


def test_a_query_that_fails_half_way_by_its_own_fault_is_permanent(
    make_database: Callable[..., PostgresResource],
) -> None:
    query = "select 1 / (900000 - n) as x from generate_series(1, 1000000) n"
    with pytest.raises(Permanent, match="division by zero"):
        list(reading.batches(make_database().uri(), query, {}))


@pytest.mark.parametrize(
    ("index", "unique"),
    [
        ("unique (a)", True),
        ("unique (a, b)", True),
        ("unique (a, c)", False),
        ("unique (c)", False),
        ("check (a > 0)", False),
    ],
)
def test_an_index_over_no_more_than_the_keys_makes_them_unique(
    make_database: Callable[..., PostgresResource], index: str, unique: bool
) -> None:
    with make_database().connect() as connection:
        connection.execute(f"create table t (a int, b int, c int, {index})".encode())
        source = Source("t", keys=("a", "b"), features=("c",), time="c")
        assert reading.is_unique(connection, source) is unique
