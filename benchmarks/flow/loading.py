"""Rows a second into one table: ours beside row by row inserts, and from a source beside plain dlt."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from analytics.ingestion import DailySource, ingest_days
from analytics.warehouse import loading, tables
from analytics.warehouse.values import to_values
from benchmarks.flow import source
from benchmarks.flow.stores import ENTRIES, client, execute
from benchmarks.report import ROOT, median_ratio, rounds
from benchmarks.spatial.server import settle
from terrane.postgres import PostgresResource

DAY = date(2026, 1, 1)
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
DROP = "drop schema if exists raw cascade"
HERE = Path(__file__).parent


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


def beside_dlt(warehouse: PostgresResource, url: str, rows: int, repeats: int) -> dict[str, float]:
    """Both read the same pages over HTTP and have the rows in a table at the end.

    dlt appends, which is the cheapest that it does; by its default, and by its COPY of CSV files.
    """
    python = dlt_python()

    def ours() -> float:
        daily = DailySource(ENTRIES, "/v1/journal-entries", "replace_day")
        with client(url) as asked:
            return _timed(lambda: ingest_days(warehouse, asked, daily, [DAY], "run", lambda *_: None))

    def dlt(form: str) -> float:
        command = [python, str(HERE / "dlt_contender.py"), url, DAY.isoformat(), form]
        done = subprocess.run(command, input=warehouse.uri(), capture_output=True, text=True, check=True, cwd="/")
        said = json.loads(done.stdout.splitlines()[-1])
        if said["rows"] != rows:
            raise RuntimeError(f"dlt loaded {said['rows']} of {rows} rows")
        return said["seconds"]

    contenders: dict[str, Callable[[], float]] = {"ours": ours}
    contenders |= {form: partial(dlt, form) for form in ("insert_values", "csv")}
    with client(url) as warming:
        warming.get("/v1/journal-entries", {"from": DAY.isoformat()})
    seconds = _rounds(warehouse, repeats, contenders)
    return {
        "ingest_vs_dlt": round(median_ratio(seconds["insert_values"], seconds["ours"]), 2),
        "ingest_vs_dlt_csv": round(median_ratio(seconds["csv"], seconds["ours"]), 2),
    }


def dlt_python() -> str:
    """The interpreter that has dlt, which the workspace's own finds or makes."""
    command = [str(ROOT / ".venv/bin/python"), "-m", "benchmarks.flow.dlt_environment"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def _rounds(
    warehouse: PostgresResource, repeats: int, contenders: dict[str, Callable[[], float]]
) -> dict[str, list[float]]:
    """Each contender's seconds, from a database without its tables every time."""

    def fresh(contender: Callable[[], float]) -> float:
        execute(warehouse, DROP, "drop schema if exists by_dlt cascade", "drop schema if exists by_dlt_staging cascade")
        settle(warehouse)
        return contender()

    return rounds(repeats, {name: partial(fresh, contender) for name, contender in contenders.items()})


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
