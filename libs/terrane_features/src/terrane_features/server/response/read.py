"""Answering a request by a plan: one round trip to Redis a slice, and JSON that is put together from columns."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from terrane_features.server.metrics import Metrics
from terrane_features.server.redis import StoreUnavailable, first_error
from terrane_features.server.request.errors import too_much, unavailable
from terrane_features.server.request.keys import typed
from terrane_features.server.request.parse import Request
from terrane_features.server.request.plan import Plan
from terrane_features.server.response.answer import START, LargeAnswer
from terrane_features.server.response.budget import Budget, Share
from terrane_features.server.response.json_values import NO_TIME, Cell, LruCache, decode, timestamp_text
from terrane_features.server.response.vectors import ViewVectors, echoed

log = logging.getLogger("terrane_features.server.response.read")
AWAY = "the online store does not answer; retry in a moment"

# What is decoded at a time, some 3 ms: between two slices of a large answer the small ones get their turn, and only
# one slice's bytes of Redis are held. An answer of one slice is small.
SLICE_VALUES = 4_000
# What more than this many bytes are held of is no small answer, however few its values.
PIECE_BYTES = 256 << 10
# What is asked of the budget for a value of a large answer, about a double's text; long texts are counted as they come.
VALUE_BYTES = 24
# An answer that holds more is refused: what Redis has decides about it, not the request.
LONGEST_ANSWER = 24 << 20


class OnlineStore(Protocol):
    """What asks Redis, a cluster or the Redis of sentinels."""

    async def ask(self, commands: Sequence[bytes]) -> list[Any]:
        """The commands' replies in their order. Raises StoreUnavailable."""
        raise NotImplementedError


class FeatureReader:
    """Answers requests from one online store."""

    def __init__(self, store: OnlineStore, metrics: Metrics) -> None:
        self._store, self._metrics, self._budget = store, metrics, Budget()
        # Large answers decode a slice each in turn: a small one waits for one slice, however many there are.
        self._turn = asyncio.Lock()
        self._values = LruCache(decode, None)
        self._times = LruCache(timestamp_text, NO_TIME)

    async def answer(self, request: Request, plan: Plan) -> bytes | LargeAnswer:
        """The answer's JSON; a large one takes the request's values, and has a share of the budget until it is closed.

        Raises RequestError: 400 for a value of an entity, 413 for an answer that is too long, 503 when the store does
        not answer, or when long texts find no room beside other large answers.
        """
        rows = request.rows
        inputs = {(name, kind): typed(request.entities[name], kind, name) for name, kind in plan.inputs}
        views = [ViewVectors(read, self._values, self._times) for read in plan.reads]
        if rows * plan.width <= SLICE_VALUES:
            await self._read(views, inputs, rows)
            if (held := _held(views)) <= PIECE_BYTES:
                return b"%s%s%s" % (START, b",".join(self._vectors(views, inputs, plan, rows)), plan.ending)
            _refuse_long(held)
            share = Share(self._budget, 0)
            share.hold(held)
            return self._large(views, inputs, plan, rows, share)
        # Nobody's values but those that are read are held while others have their turn.
        request.entities.clear()
        share = await self._budget.take(rows * plan.width * VALUE_BYTES)
        try:
            await self._read_in_slices(views, inputs, rows, max(1, SLICE_VALUES // plan.width), share)
        except BaseException:
            share.release()
            raise
        return self._large(views, inputs, plan, rows, share)

    def _large(
        self, views: list[ViewVectors], inputs: Mapping[tuple[str, int], list[Any]], plan: Plan, rows: int, share: Share
    ) -> LargeAnswer:
        """The answer of what was read; its share goes back where it can't be made."""
        try:
            self._count(views)
            columns = [(views[view], column) for view, column in plan.columns]
            return LargeAnswer(_echoes(inputs, plan, rows), columns, plan.ending, share)
        except BaseException:
            share.release()
            raise

    async def _read_in_slices(
        self, views: list[ViewVectors], inputs: Mapping[tuple[str, int], list[Any]], rows: int, size: int, share: Share
    ) -> None:
        for start in range(0, rows, size):
            some = {key: values[start : start + size] for key, values in inputs.items()}
            async with self._turn:
                await self._read(views, some, min(size, rows - start))
            held = _held(views)
            _refuse_long(held)
            share.hold(held)

    def _vectors(
        self, views: list[ViewVectors], inputs: Mapping[tuple[str, int], list[Any]], plan: Plan, rows: int
    ) -> list[bytes]:
        """All vectors of a small answer."""
        self._count(views)
        return [*_echoes(inputs, plan, rows), *(views[view].vector(column) for view, column in plan.columns)]

    def _count(self, views: list[ViewVectors]) -> None:
        for view in views:
            self._metrics.count_values(view.name, view.counts)

    async def _read(self, views: list[ViewVectors], inputs: Mapping[tuple[str, int], list[Any]], rows: int) -> None:
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


def _refuse_long(held: int) -> None:
    if held > LONGEST_ANSWER:
        raise too_much(f"the answer is longer than {LONGEST_ANSWER} bytes; ask for fewer rows or features")


def _held(views: Sequence[ViewVectors]) -> int:
    return sum(view.held for view in views)


def _echoes(inputs: Mapping[tuple[str, int], list[Any]], plan: Plan, rows: int) -> list[bytes]:
    return [b'{"values":%s%s' % (orjson.dumps(inputs[echo.given, echo.kind]), echoed(rows)) for echo in plan.echoes]
