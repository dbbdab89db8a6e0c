"""The generated days as two feeds of JSON rows in strict order of (time, id), cut into pages.

A row is turned into JSON once, when its day is first asked for; a page is a slice of those texts. Rows of today are
there from their moment on.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from source_api import generator
from source_api.generator import DAY_MS

Key = tuple[int, int]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
DAYS_KEPT = 800


@dataclass(frozen=True)
class Rows:
    """Rows of one day: `keys` are (milliseconds since 1970, id), ascending; `texts` the same rows as JSON."""

    keys: Sequence[Key]
    texts: Sequence[str]


@dataclass(frozen=True)
class Page:
    """`last` is the key of the last row when more rows follow, else None; `window_total` counts the whole window."""

    texts: Sequence[str]
    last: Key | None
    window_total: int


class Feed:
    """Every row of one kind since the first day.

    Args:
        first_day: the day of index 0.
        rows_of: a day's index and the millisecond it begins at, to the day's rows.
        count_of: a day's index to how many rows the whole day has.
    """

    def __init__(self, first_day: date, rows_of: Callable[[int, int], Rows], count_of: Callable[[int], int]):
        self._start = to_ms(datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC))
        self._count_of = count_of
        self._rows = lru_cache(maxsize=DAYS_KEPT)(lambda day: rows_of(day, self._start + day * DAY_MS))

    def page(self, start: int, end: int, after: Key | None, limit: int, now: int) -> Page:
        """Rows with start <= time < end and time <= now that follow `after`, at most `limit`; in milliseconds."""
        end = min(end, now + 1)
        lower = max((start, 0), (after[0], after[1] + 1) if after else (start, 0))
        keys: list[Key] = []
        texts: list[str] = []
        for day in self._days(lower[0], end):
            rows = self._rows(day)
            first = bisect_left(rows.keys, lower)
            stop = min(bisect_left(rows.keys, (end, 0)), first + limit + 1 - len(keys))
            keys.extend(rows.keys[first:stop])
            texts.extend(rows.texts[first:stop])
            if len(keys) > limit:
                break
        return Page(texts[:limit], keys[limit - 1] if len(keys) > limit else None, self._total(start, end))

    def _days(self, start: int, end: int) -> range:
        first, last = (start - self._start) // DAY_MS, (end - 1 - self._start) // DAY_MS
        return range(max(first, 0), max(last + 1, 0))

    def _total(self, start: int, end: int) -> int:
        return sum(self._count_between(day, start, end) for day in self._days(start, end))

    def _count_between(self, day: int, start: int, end: int) -> int:
        begins = self._start + day * DAY_MS
        if start <= begins and begins + DAY_MS <= end:
            return self._count_of(day)
        keys = self._rows(day).keys
        return bisect_left(keys, (end, 0)) - bisect_left(keys, (start, 0))


def user_feed(first_day: date) -> Feed:
    start = to_ms(datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC))

    def rows_of(day: int, begins: int) -> Rows:
        versions = generator.user_versions(day)
        texts = [
            json.dumps(
                {
                    "id": v.id,
                    "name": v.name,
                    "language": v.language,
                    "plan": v.plan,
                    "created_at": to_text(start + v.signed_up_day * DAY_MS + v.signed_up_ms),
                    "updated_at": to_text(begins + v.at_ms),
                }
            )
            for v in versions
        ]
        return Rows([(begins + v.at_ms, v.id) for v in versions], texts)

    return Feed(first_day, rows_of, generator.user_versions_of)


def entry_feed(first_day: date, places: Sequence[str]) -> Feed:
    quoted = json.JSONEncoder(ensure_ascii=False).encode

    def rows_of(day: int, begins: int) -> Rows:
        entries = generator.journal_entries(day, places)
        # Half the time of json.dumps, which counts over a quarter of a million rows; only the place can need quoting.
        texts = [
            f'{{"id": {e.id}, "user_id": {e.user_id}, "created_at": "{to_text(begins + e.at_ms)}", '
            f'"game_type": "{e.game_type}", "place": {quoted(e.place)}, '
            f'"mood": {e.mood or "null"}, "words": {e.words}, "minutes": {e.minutes}}}'
            for e in entries
        ]
        return Rows([(begins + e.at_ms, e.id) for e in entries], texts)

    return Feed(first_day, rows_of, generator.entries_of)


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970, rounded up, so that a window's bound never lets in what is before it."""
    return -((EPOCH - moment) // MILLISECOND)


def to_text(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
