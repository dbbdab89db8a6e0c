"""Which days to ask for, and when to ask again: complete days that were never ingested, all of them as one run a gap.

An automation condition would do it through a backfill, which the daemon takes up only every 30 s and looks after for a
minute more; a sensor's run starts within seconds. The price is that asking again is ours to pace: each request that
left days missing doubles the wait, from a minute to an hour.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import dagster as dg

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
ASKED_BY = {"terrane/asked_by": "missing_days"}
FIRST_WAIT_S = 60
LAST_WAIT_S = 3600


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
