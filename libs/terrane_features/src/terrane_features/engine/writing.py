"""Batches of rows into Redis: reading, encoding and sending at the same time, each batch in its own stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from terrane.ahead import read_ahead
from terrane_features.engine.cluster import ClusterConnections
from terrane_features.engine.newer import newer

if TYPE_CHECKING:
    import pyarrow as pa
    from redis import Redis
    from redis.cluster import RedisCluster

    from terrane_features.engine.commands import Layout

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
    with (
        ClusterConnections(client) as nodes,
        ClusterConnections(client) as questions,
        closing(read_ahead(batches, DEPTH)) as read,
    ):
        encoded = _encoded(read, layout, questions if only_newer else None, done)
        with closing(read_ahead(encoded, DEPTH)) as ready:
            for keys, commands in ready:
                nodes.send(commands, keys, layout.replies_a_row)
                done.written += len(keys)
                done.bytes += commands.nbytes
        nodes.finish()
    return done


def _encoded(
    batches: Iterator[pa.RecordBatch], layout: Layout, questions: ClusterConnections | None, done: Written
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
