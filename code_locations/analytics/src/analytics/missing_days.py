"""Which days to ask for, and when to ask again: complete days that were never ingested, all of them as one run a gap.

An automation condition would do it through a backfill, which the daemon takes up only every 30 s and looks after for a
minute more; a sensor's run starts within seconds. The price is that asking again is ours to pace: each request that
left days missing doubles the wait, from a minute to an hour.

What is there is what the warehouse's ledger says, which is written with the rows: after a restore, or for a table that
was dropped, days are missing that the event log has. Days that the ledger has and the event log lacks, as those of a
run that was killed, are only told to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import dagster as dg

from analytics.warehouse import tables
from terrane.errors import database_errors
from terrane.postgres import PostgresResource

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
ASKED_BY = {"terrane/asked_by": "missing_days"}
FIRST_WAIT_S = 60
LAST_WAIT_S = 3600
# Events of one look of the sensor, which has a minute; the next look tells the rest.
MOST_TOLD = 500


@dataclass(frozen=True)
class Asked:
    """What the sensor remembers: the newest day it has looked at, how often in a row it asked, and when it last did."""

    through: str = ""
    times: int = 0
    at: float = 0

    @classmethod
    def from_cursor(cls, cursor: str | None) -> Asked:
        return cls(**json.loads(cursor)) if cursor else cls()

    def to_cursor(self) -> str:
        return json.dumps(asdict(self))

    def is_due(self, newest_day: str, now: float) -> bool:
        """Whether there is a day not looked at yet, or the wait is over."""
        wait = min(FIRST_WAIT_S * 2 ** max(self.times - 1, 0), LAST_WAIT_S)
        return newest_day > self.through or now >= self.at + wait


def days_there(warehouse: PostgresResource, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Of each raw table the days that the ledger has, with their rows; none of a table that is not there.

    Costs reading a row of the ledger for each day that was ever ingested. Raises Temporary and Permanent.
    """
    from psycopg import sql

    found: dict[str, dict[str, int]] = {name: {} for name in names}
    with database_errors(warehouse, "reading which days are there"), warehouse.connect() as connection:
        places = {name: sql.Identifier(tables.schema(), name).as_string(connection) for name in (*names, tables.LEDGER)}
        query = "select to_regclass(%s) is not null"
        there = {name for name, place in places.items() if connection.execute(query, [place]).fetchone() == (True,)}
        if tables.LEDGER in there:
            ledger = sql.SQL("select table_name, day::text, rows from {} where table_name = any(%s)")
            placed = ledger.format(sql.Identifier(tables.schema(), tables.LEDGER))
            for name, day, rows in connection.execute(placed, [[name for name in names if name in there]]):
                found[name][day] = rows
    return found


def untold(
    instance: dg.DagsterInstance, key: dg.AssetKey, there: Mapping[str, int], days: Iterable[str]
) -> list[dg.AssetMaterialization]:
    """Events for those of `days` that the ledger has and the event log lacks."""
    told = instance.get_materialized_partitions(key)
    return [
        dg.AssetMaterialization(
            key,
            partition=day,
            description="in the warehouse's ledger; the run that wrote it ended before it could tell",
            metadata={"dagster/row_count": there[day]},
        )
        for day in days
        if day in there and day not in told
    ]


def gaps(days: Sequence[str], missing: Iterable[str]) -> list[tuple[str, str]]:
    """The missing among `days`, as (first, last) of each stretch without a break."""
    wanted, stretches = set(missing), []
    for before, day in zip([None, *days], days, strict=False):
        if day not in wanted:
            continue
        if before in wanted:
            stretches[-1] = (stretches[-1][0], day)
        else:
            stretches.append((day, day))
    return stretches


def request(keys: Sequence[dg.AssetKey], first: str, last: str) -> dg.RunRequest:
    """One run of all the assets over the days from first to last."""
    return dg.RunRequest(
        asset_selection=list(keys),
        tags={RANGE_START_TAG: first, RANGE_END_TAG: last, **ASKED_BY},
    )
