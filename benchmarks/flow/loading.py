"""Rows a second into one table: ours beside row by row inserts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from analytics.warehouse import loading, tables
from analytics.warehouse.values import to_values
from benchmarks.flow import source
from benchmarks.flow.stores import DROP, ENTRIES, execute
from benchmarks.report import median_ratio, rounds
from benchmarks.spatial.server import settle
from terrane.postgres import PostgresResource

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


def beside_row_inserts(warehouse: PostgresResource, rows: int, repeats: int) -> dict[str, float]:
    """The rows are in memory; both take each value as the column's type wants it, in one transaction."""
    made = source.entries(MIDNIGHT, rows)
    pages = [made[start : start + source.PAGE_ROWS] for start in range(0, rows, source.PAGE_ROWS)]

    def by_copy() -> float:
        with warehouse.connect(autocommit=True) as connection:
            tables.ensure(connection, ENTRIES)
            merge = loading.replace_between(MIDNIGHT, MIDNIGHT.replace(day=2))
            return _timed(lambda: loading.load(connection, ENTRIES, pages, merge))

    def by_insert() -> float:
        places = ", ".join(["%s"] * len(ENTRIES.names))
        updates = ", ".join(f"{name} = excluded.{name}" for name in ENTRIES.names if name != "id")
        statement = f"insert into raw.journal_entries values ({places}) on conflict (id) do update set {updates}"  # noqa: S608 - constants

        def insert() -> None:
            with warehouse.connect() as connection:
                for page in pages:
                    for row in page:
                        connection.execute(statement.encode(), to_values(ENTRIES, row))

        with warehouse.connect(autocommit=True) as connection:
            tables.ensure(connection, ENTRIES)
        return _timed(insert)

    seconds = _rounds(warehouse, repeats, {"ours": by_copy, "inserts": by_insert})
    return {"ingest_vs_row_insert": round(median_ratio(seconds["inserts"], seconds["ours"]), 2)}


def _rounds(
    warehouse: PostgresResource, repeats: int, contenders: dict[str, Callable[[], float]]
) -> dict[str, list[float]]:
    """Each contender's seconds, from a database without its tables every time."""

    def fresh(contender: Callable[[], float]) -> float:
        execute(warehouse, *DROP)
        settle(warehouse)
        return contender()

    return rounds(repeats, {name: partial(fresh, contender) for name, contender in contenders.items()})


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
