"""Days of the source into a raw table, each in a transaction of its own, so that a day that fails costs no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from analytics.forgetting.rows import forgotten
from analytics.source.asking import AccessRefused
from analytics.source.client import SourceClient
from analytics.source.window import PAGE_ROWS, Window, WindowChanged, read_window
from analytics.warehouse import loading, tables
from analytics.warehouse.attempts import ATTEMPTS, until_it_stands_still
from analytics.warehouse.locks import keep_others_out
from analytics.warehouse.refused import keep_of_day, raise_when_too_many
from analytics.warehouse.tables import LEDGER, Table
from analytics.warehouse.values import Refused
from terrane.errors import Permanent, Temporary, database_errors
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    import psycopg

TOLD_DAYS = 5

Mode = Literal["newest_wins", "replace_day"]


class DayChanged(Temporary):
    """The pages of a day changed each time that it was read."""


@dataclass(frozen=True)
class DailySource:
    """A table and the route it comes from.

    Attributes:
        mode: what a day's rows do to those already there.
        reread_days: how many days before the newest of a run are read again, since rows come late.
        to_this_moment: whether today, which is no complete day yet, is read after a run's days.
        fill_new_columns: whether all days count as missing when a column is new, so that older rows get it.
    """

    table: Table
    route: str
    mode: Mode
    reread_days: int = 0
    to_this_moment: bool = False
    fill_new_columns: bool = False

    def window(self, day: date) -> Window:
        start = _midnight(day)
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

    The days of the source's look-back come first, those of them that were ingested before. A day that this run
    committed before, in an earlier attempt, is not read again. A day that can't be taken does not stop those after it,
    unless the warehouse or the API is away.

    Raises:
        Temporary: the warehouse or the API is away; the days before are kept. Or days whose pages kept changing.
        AccessRefused: the API does not know the key; the days before are kept.
        Permanent: names the days that could not be taken, when all others are.
    """
    failed: dict[date, Permanent | DayChanged] = {}
    with (
        database_errors(warehouse, f"preparing {source.table.qualified}"),
        warehouse.connect(autocommit=True) as connection,
    ):
        tables.ensure(connection, source.table, fill_new_columns=source.fill_new_columns)
        committed = _committed(connection, source.table, run_id)
        days = [*_read_again(connection, source, days), *days]
        for day in days:
            if day not in committed:
                try:
                    with database_errors(warehouse, f"writing {day} of {source.table.qualified}"):
                        committed[day] = ingest_day(connection, client, source, day, run_id, page_rows)
                except AccessRefused:
                    raise
                except (Permanent, DayChanged) as error:
                    failed[day] = error
                    continue
            done(day, committed[day])
    _raise_failed(failed, len(days))


def _raise_failed(failed: Mapping[date, Permanent | DayChanged], of: int) -> None:
    if not failed:
        return
    if len(failed) == of == 1:
        raise next(iter(failed.values()))
    kind = Temporary if any(isinstance(error, Temporary) for error in failed.values()) else Permanent
    told = "; ".join(f"{day}: {error}" for day, error in list(failed.items())[:TOLD_DAYS])
    raise kind(f"{len(failed)} of {of} days could not be taken, and the others were: {told}")


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
        Temporary: the API did not answer; DayChanged: the pages changed each time.
        Permanent: the day is not over, the API refused, or too many rows are not of the columns' types.
    """
    window = source.window(day)
    if window.end > datetime.now(UTC):
        raise Permanent(
            f"{day} is not over in UTC, and only complete days are ingested; ask for it from {window.end} on"
        )
    merge = loading.newest_wins if source.mode == "newest_wins" else loading.replace_between(window.start, window.end)

    def take() -> int:
        keep_others_out(connection, source.table, str(day))
        refused: list[Refused] = []
        pages = read_window(client, window, page_rows)
        rows = loading.load(connection, source.table, pages, merge, refused.append, forgotten(connection, source.table))
        raise_when_too_many(source.table, rows, refused, str(day))
        keep_of_day(connection, source.table, day, refused, run_id)
        _record(connection, source.table, day, rows, run_id)
        return rows

    return until_it_stands_still(connection, take, _changed(f"{day} was read for {source.table.qualified}"))


def ingest_today(
    warehouse: PostgresResource, client: SourceClient, source: DailySource, page_rows: int = PAGE_ROWS
) -> int:
    """Rows of today, until now, beside those of complete days; the ledger has nothing of them. Returns how many.

    A source that shows each row once, as of its newest version, has none on a complete day of what changed today: an
    entry of yesterday would be by a user whom nobody knows. What can't be kept of them is refused when the day is over.

    Raises Temporary and Permanent as `ingest_days`.
    """
    now = datetime.now(UTC)
    window = Window(source.route, source.table.time_column or "", _midnight(now.date()), now)

    def take() -> int:
        keep_others_out(connection, source.table, str(now.date()))
        pages = read_window(client, window, page_rows)
        who = forgotten(connection, source.table)
        return loading.load(connection, source.table, pages, loading.newest_wins, lambda _: None, who)

    with (
        database_errors(warehouse, f"writing today's rows of {source.table.qualified}"),
        warehouse.connect(autocommit=True) as connection,
    ):
        return until_it_stands_still(connection, take, _changed(f"today was read for {source.table.qualified}"))


def _changed(what: str) -> Callable[[WindowChanged], DayChanged]:
    return lambda change: DayChanged(
        f"the API's pages changed each of the {ATTEMPTS} times that {what}: {change}. Nothing of the day was "
        "written; when it happens again, ask the API's people why rows of a complete day change"
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _read_again(connection: psycopg.Connection, source: DailySource, days: Sequence[date]) -> list[date]:
    """The days of the look-back before the newest of `days` that were ingested, by whatever run."""
    newest = max(days)
    back = {newest - timedelta(days=n) for n in range(1, source.reread_days + 1)} - set(days)
    if not back:
        return []
    query = f"select day from {tables.schema()}.{LEDGER} where table_name = %s and day = any(%s) order by day"  # noqa: S608 - constants
    return [day for (day,) in connection.execute(query.encode(), [source.table.name, sorted(back)])]


def _committed(connection: psycopg.Connection, table: Table, run_id: str) -> dict[date, int]:
    query = f"select day, rows from {tables.schema()}.{LEDGER} where table_name = %s and run_id = %s"  # noqa: S608 - constants
    return dict(connection.execute(query.encode(), [table.name, run_id]).fetchall())


def _record(connection: psycopg.Connection, table: Table, day: date, rows: int, run_id: str) -> None:
    connection.execute(
        f"insert into {tables.schema()}.{LEDGER} (table_name, day, rows, run_id) values (%s, %s, %s, %s) "  # noqa: S608 - constants
        "on conflict (table_name, day) do update "
        "set rows = excluded.rows, run_id = excluded.run_id, ingested_at = now()".encode(),
        [table.name, day, rows, run_id],
    )
