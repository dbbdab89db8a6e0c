"""Days of the source into a raw table, each in a transaction of its own, so that a day that fails costs no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from analytics.source.client import SourceClient
from analytics.source.window import PAGE_ROWS, Window, WindowChanged, read_window
from analytics.warehouse import loading, tables
from analytics.warehouse.tables import LEDGER, SCHEMA, Table
from terrane.errors import Permanent, Temporary, database_errors
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    import psycopg

WINDOW_ATTEMPTS = 3

Mode = Literal["newest_wins", "replace_day"]


@dataclass(frozen=True)
class DailySource:
    """A table and the route it comes from. `mode` says what a day's rows do to those already there."""

    table: Table
    route: str
    mode: Mode

    def window(self, day: date) -> Window:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return Window(self.route, self.table.time_column or "", start, start + timedelta(days=1))


def ingest_days(
    warehouse: PostgresResource,
    client: SourceClient,
    source: DailySource,
    days: Sequence[date],
    run_id: str,
    done: Callable[[date, int], None],
    page_rows: int = PAGE_ROWS,
) -> None:
    """Ingests the days in order and tells `done` of each once it is committed, with its rows.

    A day that this run committed before, in an earlier attempt, is not read again.

    Raises:
        Temporary, Permanent: at the first day that fails; the days before it are kept.
    """
    with (
        database_errors(warehouse, f"preparing raw.{source.table.name}"),
        warehouse.connect(autocommit=True) as connection,
    ):
        tables.ensure(connection, source.table)
        committed = _committed(connection, source.table, run_id)
        for day in days:
            if day not in committed:
                with database_errors(warehouse, f"writing {day} of raw.{source.table.name}"):
                    committed[day] = ingest_day(connection, client, source, day, run_id, page_rows)
            done(day, committed[day])


def ingest_day(
    connection: psycopg.Connection,
    client: SourceClient,
    source: DailySource,
    day: date,
    run_id: str,
    page_rows: int = PAGE_ROWS,
) -> int:
    """One day, all of it or nothing; begun again when the day's pages changed while they were read.

    Returns:
        The day's rows: of distinct users, or of entries.

    Raises:
        Temporary: the pages changed each time, or the API did not answer.
        Permanent: the day is not over, or the API refused.
    """
    window, change = source.window(day), None
    if window.end > datetime.now(UTC):
        raise Permanent(
            f"{day} is not over in UTC, and only complete days are ingested; ask for it from {window.end} on"
        )
    merge = loading.newest_wins if source.mode == "newest_wins" else loading.replace_between(window.start, window.end)
    for _ in range(WINDOW_ATTEMPTS):
        try:
            with connection.transaction():
                rows = loading.load(connection, source.table, read_window(client, window, page_rows), merge)
                _record(connection, source.table, day, rows, run_id)
            return rows
        except WindowChanged as error:
            change = error
    raise Temporary(
        f"the API's pages changed each of the {WINDOW_ATTEMPTS} times that {day} was read for raw.{source.table.name}: "
        f"{change}. Nothing of the day was written; when it happens again, ask the API's people why "
        "rows of a complete day change"
    )


def _committed(connection: psycopg.Connection, table: Table, run_id: str) -> dict[date, int]:
    query = f"select day, rows from {SCHEMA}.{LEDGER} where table_name = %s and run_id = %s"  # noqa: S608 - constants
    return dict(connection.execute(query.encode(), [table.name, run_id]).fetchall())


def _record(connection: psycopg.Connection, table: Table, day: date, rows: int, run_id: str) -> None:
    connection.execute(
        f"insert into {SCHEMA}.{LEDGER} (table_name, day, rows, run_id) values (%s, %s, %s, %s) "  # noqa: S608 - constants
        "on conflict (table_name, day) do update "
        "set rows = excluded.rows, run_id = excluded.run_id, ingested_at = now()".encode(),
        [table.name, day, rows, run_id],
    )
