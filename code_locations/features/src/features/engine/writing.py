"""Batches of rows into Redis: reading, encoding and sending at the same time, each batch in its own stage."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from features.engine.nodes import Nodes
from features.engine.times import newer

if TYPE_CHECKING:
    import pyarrow as pa
    from redis import Redis
    from redis.cluster import RedisCluster

    from features.engine.commands import Layout

T = TypeVar("T")
# Batches that wait between two stages: one that is ready, while the next is made.
DEPTH = 1


@dataclass
class Written:
    """What was done: rows read, written, skipped because Redis has a newer one, and bytes sent."""

    rows: int = 0
    written: int = 0
    bytes: int = 0

    @property
    def skipped(self) -> int:
        return self.rows - self.written


def write(
    batches: Iterator[pa.RecordBatch], layout: Layout, client: Redis | RedisCluster, *, only_newer: bool
) -> Written:
    """Writes every row, each key of which comes once.

    Args:
        only_newer: leave a row alone whose event is no newer than what Redis has; otherwise rows are not read before.

    Raises ValueRefused or NullInList for a value without bytes, redis.RedisError for a Redis that is lost or refuses.
    What was sent by then stays.
    """
    done = Written()
    with Nodes(client) as nodes, Nodes(client) as questions, ahead(batches) as read:
        encoded = _encoded(read, layout, questions if only_newer else None, done)
        with ahead(encoded) as ready:
            for keys, commands in ready:
                nodes.send(commands, keys, layout.replies_a_row)
                done.written += len(keys)
                done.bytes += commands.nbytes
        nodes.finish()
    return done


def _encoded(
    batches: Iterator[pa.RecordBatch], layout: Layout, questions: Nodes | None, done: Written
) -> Iterator[tuple[pa.Array, pa.Array]]:
    """The rows to write, as their keys and commands."""
    import pyarrow as pa

    for batch in batches:
        done.rows += len(batch)
        keys = layout.key_column(batch)
        if questions is not None:
            there = questions.ask(layout.hget_time(keys), keys)
            fresh = newer(layout.event_times(batch), there)
            if not fresh.all():
                chosen = pa.array(fresh)
                batch, keys = batch.filter(chosen), keys.filter(chosen)
        if len(batch):
            yield keys, layout.hset(batch, keys)


@contextmanager
def ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Runs an iterator in a thread of its own, DEPTH items ahead. Its exception is raised where its items are taken."""
    ready: queue.Queue[T | None] = queue.Queue(DEPTH)
    stopped = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            for item in items:
                if not _offered(ready, item, stopped):
                    return
        except BaseException as error:
            failures.append(error)
        _offered(ready, None, stopped)

    def taken() -> Iterator[T]:
        while (item := ready.get()) is not None:
            yield item
        if failures:
            raise failures[0]

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stopped.set()
        thread.join()


def _offered(ready: queue.Queue, item: object, stopped: threading.Event) -> bool:
    """Waits for room; False when nobody takes items any more."""
    while not stopped.is_set():
        try:
            ready.put(item, timeout=0.2)
        except queue.Full:
            continue
        return True
    return False
