"""Rows of what dbt built: told by the server where it made a table, counted by one connection otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from terrane.postgres import PostgresResource
from terrane_dbt.dbt_project.row_counts import RowCounts

pytestmark = pytest.mark.integration

TABLE = ("public", "orders")


@pytest.fixture
def warehouse(make_database: Callable[..., PostgresResource]) -> PostgresResource:
    made = make_database()
    with made.connect() as connection:
        connection.execute("create table orders as select generate_series(1, 7) as id")
    return made


@pytest.fixture
def counts(warehouse: PostgresResource) -> Iterator[RowCounts]:
    with RowCounts(warehouse) as made:
        yield made


def of(kind: str, **config: object) -> dict[str, object]:
    return {"config": {"materialized": kind, **config}}


def test_of_a_table_that_was_made_the_server_s_word_is_taken(counts: RowCounts) -> None:
    assert counts.of(of("table"), ("nowhere", "never"), "SELECT 5") == 5


@pytest.mark.parametrize("kind", ["incremental", "snapshot", "seed"])
def test_of_a_table_that_was_added_to_all_rows_are_counted(counts: RowCounts, kind: str) -> None:
    assert counts.of(of(kind), TABLE, "INSERT 0 2") == 7
    assert counts.of(of(kind), TABLE, "SELECT 2") == 7


def test_of_a_table_that_something_was_done_to_afterwards_rows_are_counted(counts: RowCounts) -> None:
    assert counts.of(of("table", **{"post-hook": [{"sql": "delete from orders"}]}), TABLE, "SELECT 9") == 7


def test_rows_of_a_view_are_counted_for_nobody(counts: RowCounts) -> None:
    assert counts.of(of("view"), ("nowhere", "never"), "CREATE VIEW") is None


def test_after_a_connection_was_cut_another_counts(counts: RowCounts, warehouse: PostgresResource) -> None:
    assert counts.of(of("seed"), TABLE, "") == 7
    with warehouse.connect() as connection:
        others = "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid()"
        connection.execute(f"{others} and datname = current_database()".encode())
    assert counts.of(of("seed"), TABLE, "") == 7
