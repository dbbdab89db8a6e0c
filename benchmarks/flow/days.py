"""What a day costs among many: ingested with its checks after ten days and after ten years."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from analytics.components.refused_rows import refused_by_day
from analytics.defs.raw import checks
from analytics.ingestion import DailySource, ingest_days
from analytics.warehouse import tables
from benchmarks.flow.source import ENTRIES_A_USER, EPOCH
from benchmarks.flow.stores import ENTRIES, USERS, client, execute
from benchmarks.report import median_ratio, rounds
from benchmarks.spatial.server import settle
from terrane.postgres import PostgresResource

NEWEST = date(2025, 12, 31)
REREAD_DAYS = 2
SOURCES = (
    DailySource(USERS, "/v1/users", "newest_wins", REREAD_DAYS),
    DailySource(ENTRIES, "/v1/journal-entries", "replace_day", REREAD_DAYS),
)
FILL_ENTRIES = """
    insert into raw.journal_entries
    select (day - date '2000-01-01')::bigint * {rows} + n, n / {entries_a_user},
        day::timestamp at time zone 'UTC' + n * interval '1 day' / {rows},
        'board', 'Place ' || n % 500, n % 5 + 1, n % 400, (n % 97) / 2.0
    from (select date '{newest}' - back as day from generate_series({days} - 1, 0, -1) as back) as days,
        generate_series(0, {rows} - 1) as n
"""
FILL_USERS = """
    insert into raw.users
    select n, 'user' || n, 'en', 'free', timestamptz '{epoch}', timestamptz '{newest} 00:00:00Z'
    from generate_series(0, {rows} / {entries_a_user} - 1) as n
"""
FILL_LEDGER = """
    insert into raw.ingested_days (table_name, day, rows, run_id)
    select name, date '{newest}' - back, {rows}, 'run-' || back
    from generate_series(0, {days} - 1) as back, unnest(array['users', 'journal_entries']) as name
"""


@dataclass(frozen=True)
class Comparison:
    """How many days either has, and how many more are taken of each."""

    few_days: int = 10
    many_days: int = 3650
    repeats: int = 11


def compare(few: PostgresResource, many: PostgresResource, url: str, rows: int, how: Comparison) -> dict[str, float]:
    """Both get the same next days, in turns; the ratio of a round is of the same day."""
    for warehouse, days in ((few, how.few_days), (many, how.many_days)):
        fill(warehouse, days, rows)
    turns = {name: iter(range(1, how.repeats + 2)) for name in ("few", "many")}

    def next_day(name: str, warehouse: PostgresResource) -> float:
        return take(warehouse, url, NEWEST + timedelta(days=next(turns[name])))

    contenders: dict[str, Callable[[], float]] = {
        "few": partial(next_day, "few", few),
        "many": partial(next_day, "many", many),
    }
    rounds(1, contenders)
    seconds = rounds(how.repeats, contenders)
    return {"day_cost_3650_vs_10": round(median_ratio(seconds["many"], seconds["few"]), 3)}


def fill(warehouse: PostgresResource, days: int, rows: int) -> None:
    """That many days to the newest, as ingesting them one by one leaves them."""
    with warehouse.connect(autocommit=True) as connection:
        for source in SOURCES:
            tables.ensure(connection, source.table)
    values = {
        "rows": rows,
        "days": days,
        "newest": NEWEST.isoformat(),
        "epoch": EPOCH.isoformat(),
        "entries_a_user": ENTRIES_A_USER,
    }
    execute(warehouse, *(text.format(**values) for text in (FILL_ENTRIES, FILL_USERS, FILL_LEDGER)), "vacuum analyze")
    settle(warehouse)


def take(warehouse: PostgresResource, url: str, day: date) -> float:
    """The seconds of a day: its users and entries with the look-back's, and the checks of both tables."""
    began = time.perf_counter()
    with client(url) as asked:
        for source in SOURCES:
            ingest_days(warehouse, asked, source, [day], f"run-{day}", lambda *_: None)
    if not all(result.passed for result in checks.judged(warehouse)):
        raise RuntimeError(f"a check of {day} failed")
    for source in SOURCES:
        refused_by_day(warehouse, source.table)
    return time.perf_counter() - began
