"""Answering a request by a plan: one round trip to Redis, and JSON that is put together from columns."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson

from terrane_features.server.metrics import Metrics
from terrane_features.server.redis import RedisConnection, StoreUnavailable, first_error
from terrane_features.server.request.errors import unavailable
from terrane_features.server.request.keys import typed
from terrane_features.server.request.parse import Request
from terrane_features.server.request.plan import Plan, ViewRead
from terrane_features.server.response.json_values import (
    NO_TIME,
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


class FeatureReader:
    """Answers requests from one Redis."""

    def __init__(self, link: RedisConnection, metrics: Metrics) -> None:
        self._link, self._metrics = link, metrics
        self._values = LruCache(decode, None)
        self._times = LruCache(timestamp_text, NO_TIME)

    async def answer(self, request: Request, plan: Plan) -> bytes:
        """The answer's JSON. Raises RequestError: 400 for a value of an entity, 503 when Redis does not answer."""
        rows = request.rows
        columns = {echo.given: typed(request.entities[echo.given], echo.kind, echo.given) for echo in plan.echoes}
        commands = [command for read in plan.reads for command in read.commands.of(columns, rows)]
        replies = await self._ask(commands)
        vectors = [b'{"values":%s%s' % (orjson.dumps(columns[echo.given]), _echoed(rows)) for echo in plan.echoes]
        read = [self._vectors(view, replies[i * rows : (i + 1) * rows]) for i, view in enumerate(plan.reads)]
        vectors += [read[view][column] for view, column in plan.columns]
        return b'{"results":[%s%s' % (b",".join(vectors), plan.ending)

    async def _ask(self, commands: list[bytes]) -> list[list[Cell]]:
        began = time.perf_counter()
        try:
            replies = await self._link.ask(b"".join(commands), len(commands))
        except StoreUnavailable as error:
            raise unavailable(AWAY, str(error)) from error
        self._metrics.redis_seconds.observe(time.perf_counter() - began)
        if set(map(type, replies)) != {list}:
            raise unavailable(AWAY, f"Redis refuses a read: {first_error(replies) or 'no list came back'}")
        return replies

    def _vectors(self, view: ViewRead, rows: Sequence[Sequence[Cell]]) -> list[bytes]:
        """A feature vector in JSON for each feature of a view."""
        *cells, times = zip(*rows, strict=True)
        texts = list(map(self._times.__getitem__, times))
        old = _too_old(times, texts, view.ttl_s) if view.ttl_s else frozenset()
        ending = b',"event_timestamps":%s}' % orjson.dumps(texts)
        counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
        vectors = []
        for column, kind in zip(cells, view.kinds, strict=True):
            values = orjson.dumps(decode_column(column, kind, self._values))
            if old or not all(column):
                statuses = _statuses(column, old)
                for status in STATUSES:
                    counts[status] += statuses.count(status)
                written = orjson.dumps(statuses)
            else:
                written = _present(len(column))
                counts[PRESENT] += len(column)
            vectors.append(b'{"values":%s,"statuses":%s%s' % (values, written, ending))
        self._metrics.count_values(view.view, counts)
        return vectors


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


@lru_cache(1024)
def _present(rows: int) -> bytes:
    return orjson.dumps([PRESENT] * rows)


@lru_cache(1024)
def _echoed(rows: int) -> bytes:
    """What follows the values of a join key, which is always there and has no time."""
    times: list[Any] = [NO_TIME] * rows
    return b',"statuses":%s,"event_timestamps":%s}' % (_present(rows), orjson.dumps(times))
