"""Answering a request by a plan: one round trip to Redis a slice, and JSON that is put together from columns."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import orjson

from terrane_features.server.metrics import Metrics
from terrane_features.server.redis import StoreUnavailable, first_error
from terrane_features.server.request.errors import unavailable
from terrane_features.server.request.keys import typed
from terrane_features.server.request.parse import Request
from terrane_features.server.request.plan import Plan, ViewRead
from terrane_features.server.response.json_values import (
    NO_TIME,
    NULL_TIME,
    UNIX_TIMESTAMP,
    Cell,
    LruCache,
    decode,
    decode_column,
    seconds_of,
    timestamp_text,
)

log = logging.getLogger("terrane_features.server.response.read")
AWAY = "the online store does not answer; retry in a moment"
PRESENT, NULL, MISSING, OLD = "PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"
STATUSES = (PRESENT, NULL, MISSING, OLD)


# What is decoded at a time: between two slices of a large answer the small ones get their turn, and only one slice's
# bytes of Redis are held.
SLICE_VALUES = 8_000
# An answer up to this many bytes is one piece.
PIECE_BYTES = 256 << 10


class OnlineStore(Protocol):
    """What asks Redis, a cluster or the Redis of sentinels."""

    async def ask(self, commands: Sequence[bytes]) -> list[Any]:
        """The commands' replies in their order. Raises StoreUnavailable."""
        raise NotImplementedError


class FeatureReader:
    """Answers requests from one online store."""

    def __init__(self, store: OnlineStore, metrics: Metrics) -> None:
        self._store, self._metrics = store, metrics
        self._values = LruCache(decode, None)
        self._times = LruCache(timestamp_text, NO_TIME)

    async def answer(self, request: Request, plan: Plan) -> list[bytes]:
        """The answer's JSON in pieces, of which small answers have one.

        Raises RequestError: 400 for a value of an entity, 503 when the store does not answer.
        """
        rows = request.rows
        inputs = {(name, kind): typed(request.entities[name], kind, name) for name, kind in plan.inputs}
        views = [_ViewVectors(read, self._values, self._times) for read in plan.reads]
        size = max(1, SLICE_VALUES // plan.width)
        for start in range(0, rows, size):
            some = inputs if size >= rows else {key: values[start : start + size] for key, values in inputs.items()}
            await self._read(views, some, min(size, rows - start))
        echoed = _echoed(rows)
        vectors = [b'{"values":%s%s' % (orjson.dumps(inputs[echo.given, echo.kind]), echoed) for echo in plan.echoes]
        vectors += [views[view].vector(column) for view, column in plan.columns]
        for view in views:
            self._metrics.count_values(view.name, view.counts)
        return _in_pieces(vectors, plan.ending)

    async def _read(self, views: list[_ViewVectors], inputs: Mapping[tuple[str, int], list[Any]], rows: int) -> None:
        """Adds some rows to the views' vectors."""
        commands = [command for view in views for command in view.commands.of(inputs, rows)]
        replies = await self._ask(commands)
        for i, view in enumerate(views):
            view.add(replies[i * rows : (i + 1) * rows])

    async def _ask(self, commands: list[bytes]) -> list[list[Cell]]:
        began = time.perf_counter()
        try:
            replies = await self._store.ask(commands)
        except StoreUnavailable as error:
            raise unavailable(AWAY, str(error)) from error
        self._metrics.redis_seconds.observe(time.perf_counter() - began)
        if set(map(type, replies)) != {list}:
            raise unavailable(AWAY, f"Redis refuses a read: {first_error(replies) or 'no list came back'}")
        return replies


class _ViewVectors:
    """The vectors of one view's features, to which rows are added: JSON of values, statuses and times.

    Attributes:
        counts: values by status.
    """

    def __init__(self, read: ViewRead, values: LruCache, times: LruCache) -> None:
        self.name, self.commands = read.view, read.commands
        self.counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
        self._read, self._decoded, self._texts = read, values, times
        self._values: list[list[bytes]] = [[] for _ in read.kinds]
        self._statuses: list[list[bytes]] = [[] for _ in read.kinds]
        self._times: list[bytes] = []
        self._ending = b""

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Adds the replies to some rows' commands."""
        *cells, times = zip(*rows, strict=True)
        texts = list(map(self._texts.__getitem__, times))
        ttl_s, counts = self._read.ttl_s, self.counts
        old = _too_old(times, texts, ttl_s) if ttl_s else frozenset()
        self._times.append(orjson.dumps(texts))
        for i, (found, kind) in enumerate(zip(cells, self._read.kinds, strict=True)):
            column = _without_null_times(found) if kind == UNIX_TIMESTAMP else found
            self._values[i].append(orjson.dumps(decode_column(column, kind, self._decoded)))
            if old or not all(column):
                statuses = _statuses(column, old)
                for status in STATUSES:
                    counts[status] += statuses.count(status)
                self._statuses[i].append(orjson.dumps(statuses))
            else:
                self._statuses[i].append(_repeated(PRESENT, len(column)))
                counts[PRESENT] += len(column)

    def vector(self, column: int) -> bytes:
        """A feature's vector, from all rows."""
        if not self._ending:
            self._ending = b',"event_timestamps":%s}' % _joined(self._times)
        values, statuses = _joined(self._values[column]), _joined(self._statuses[column])
        return b'{"values":%s,"statuses":%s%s' % (values, statuses, self._ending)


def _joined(arrays: list[bytes]) -> bytes:
    """Some JSON arrays as one."""
    return arrays[0] if len(arrays) == 1 else b"[%s]" % b",".join([array[1:-1] for array in arrays])


def _in_pieces(vectors: list[bytes], ending: bytes) -> list[bytes]:
    """The answer's text: one piece, or where that would copy much, a piece a vector."""
    start = b'{"results":['
    if sum(map(len, vectors)) <= PIECE_BYTES:
        return [b"%s%s%s" % (start, b",".join(vectors), ending)]
    pieces = [start]
    for vector in vectors:
        pieces += [vector, b","]
    return [*pieces[:-1], ending]


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


def _echoed(rows: int) -> bytes:
    """What follows the values of a join key, which is always there and has no time."""
    return b',"statuses":%s,"event_timestamps":%s}' % (_repeated(PRESENT, rows), _repeated(NO_TIME, rows))
