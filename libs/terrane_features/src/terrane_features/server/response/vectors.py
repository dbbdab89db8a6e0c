"""The vectors of a view's features, slice by slice: JSON of values, statuses and times, kept short."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import lru_cache

import orjson

from terrane_features.server.request.plan import ViewRead
from terrane_features.server.response.json_values import (
    NO_TIME,
    NULL_TIME,
    UNIX_TIMESTAMP,
    Cell,
    LruCache,
    decode_column,
    seconds_of,
)

PRESENT, NULL, MISSING, OLD = "PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"
STATUSES = (PRESENT, NULL, MISSING, OLD)


class ViewVectors:
    """The vectors of one view's features, to which rows are added.

    Attributes:
        counts: values by status.
        held: bytes that are kept of them.
    """

    def __init__(self, read: ViewRead, values: LruCache, times: LruCache) -> None:
        self.name, self.commands, self.held = read.view, read.commands, 0
        self.counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
        self._read, self._decoded, self._texts = read, values, times
        self._values: list[list[bytes]] = [[] for _ in read.kinds]
        self._statuses: list[list[bytes | int]] = [[] for _ in read.kinds]
        self._times: list[bytes] = []

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Adds the replies to some rows' commands."""
        *cells, times = zip(*rows, strict=True)
        texts = list(map(self._texts.__getitem__, times))
        ttl_s, counts = self._read.ttl_s, self.counts
        old = _too_old(times, texts, ttl_s) if ttl_s else frozenset()
        self._keep(self._times, orjson.dumps(texts))
        for i, (found, kind) in enumerate(zip(cells, self._read.kinds, strict=True)):
            column = _without_null_times(found) if kind == UNIX_TIMESTAMP else found
            self._keep(self._values[i], orjson.dumps(decode_column(column, kind, self._decoded)))
            if old or not all(column):
                statuses = _statuses(column, old)
                for status in STATUSES:
                    counts[status] += statuses.count(status)
                self._keep(self._statuses[i], orjson.dumps(statuses))
            else:
                self._statuses[i].append(len(column))
                counts[PRESENT] += len(column)

    def vector(self, column: int) -> bytes:
        """A feature's vector, from all rows."""
        statuses = [_repeated(PRESENT, part) if isinstance(part, int) else part for part in self._statuses[column]]
        return b'{"values":%s,"statuses":%s,"event_timestamps":%s}' % (
            _joined(self._values[column]),
            _joined(statuses),
            _joined(self._times),
        )

    def length(self, column: int) -> int:
        """Of the vector, which is not made for it."""
        statuses = [
            _PRESENT_BYTES * part + 1 if isinstance(part, int) else len(part) for part in self._statuses[column]
        ]
        return _AROUND + sum(
            sum(parts) - len(parts) + 1
            for parts in (list(map(len, self._values[column])), statuses, list(map(len, self._times)))
        )

    def _keep(self, parts: list, part: bytes) -> None:
        # A copy, since orjson's bytes stand in a block of 20 KB and more, which a slice of 1 KB would hold.
        parts.append(bytes(memoryview(part)))
        self.held += len(part)


# A status and its comma; what a vector has beside its three lists.
_PRESENT_BYTES = len(orjson.dumps(PRESENT)) + 1
_AROUND = len(b'{"values":,"statuses":,"event_timestamps":}')


def echoed(rows: int) -> bytes:
    """What follows the values of a join key, which is always there and has no time."""
    return b',"statuses":%s,"event_timestamps":%s}' % (_repeated(PRESENT, rows), _repeated(NO_TIME, rows))


def _joined(arrays: list[bytes]) -> bytes:
    """Some JSON arrays as one."""
    return arrays[0] if len(arrays) == 1 else b"[%s]" % b",".join([array[1:-1] for array in arrays])


def _without_null_times(cells: Sequence[Cell]) -> Sequence[Cell]:
    """The same cells with a null time as a null."""
    return [b"" if cell == NULL_TIME else cell for cell in cells] if NULL_TIME in cells else cells


def _too_old(times: Sequence[Cell], texts: Sequence[str], ttl_s: float) -> frozenset[int]:
    """The places of events that are older than a view's ttl allows."""
    limit = time.time() - ttl_s
    # Texts compare as times do, but for their decimals: a whole second later is a safe first look.
    if min(texts) >= _text_of(math.ceil(limit) + 1):
        return frozenset()
    return frozenset(place for place, at in enumerate(times) if at and seconds_of(at) < limit)


@lru_cache(64)
def _text_of(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(max(second, 0)))


def _statuses(column: Sequence[Cell], old: frozenset[int]) -> list[str]:
    """What there is to say of each cell: a row whose event is too old is old, with its nulls."""
    statuses = [PRESENT if cell else MISSING if cell is None else NULL for cell in column]
    for place in old:
        if statuses[place] != MISSING:
            statuses[place] = OLD
    return statuses


def _repeated(text: str, rows: int) -> bytes:
    """A JSON array of one text. It is not kept: copying bytes costs nothing, and requests differ without end."""
    one = orjson.dumps(text)
    return b"[%s%s]" % (one, (b"," + one) * (rows - 1))
