"""Rows into a table by COPY, over as many connections as are given: of a large file, Postgres' part is the slower."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from terrane_spatial.loading import copy_format
from terrane_spatial.loading.meter import Meter, StoppedError, raise_first

if TYPE_CHECKING:
    import psycopg

Pieces = list[memoryview | bytes]


class _Shared:
    """Batches that several threads take from, each counted when it is taken; an error of one ends it for all."""

    def __init__(self, batches: Iterator[tuple[int, Pieces]], meter: Meter):
        self.rows = 0
        self._batches, self._meter = batches, meter
        self._lock = threading.Lock()
        self._failed = False

    def next(self) -> Pieces | None:
        """The next batch, None when there is no other. Raises what making it raised, or StoppedError."""
        with self._lock:
            if self._failed:
                raise StoppedError(self._meter.name)
            number, pieces = next(self._batches, (0, None))
            if pieces is not None:
                self.rows += number
                self._meter.add(number, sum(map(len, pieces)))
            return pieces

    def fail(self) -> None:
        with self._lock:
            self._failed = True


def copy_rows(
    connections: Sequence[psycopg.Connection],
    table: str,
    batches: Iterator[tuple[int, Pieces]],
    meter: Meter,
) -> int:
    """Streams the batches into the table; returns the rows.

    Each connection copies in a statement of its own: where one fails, what another has copied may stay.

    Args:
        connections: that see the table; each takes the next batch when it has sent its last.
        batches: rows of each, and its pieces of the stream.
        meter: is told of every batch.
    """
    shared = _Shared(batches, meter)
    with ThreadPoolExecutor(len(connections), "copy") as pool:
        futures = [pool.submit(_stream, connection, table, shared) for connection in connections]
    raise_first(futures)
    return shared.rows


def _stream(connection: psycopg.Connection, table: str, shared: _Shared) -> None:
    try:
        with connection.cursor() as cursor, cursor.copy(f'copy "{table}" from stdin (format binary)'.encode()) as copy:
            copy.write(copy_format.HEADER)
            while (pieces := shared.next()) is not None:
                for piece in pieces:
                    copy.write(piece)
            copy.write(copy_format.TRAILER)
    except BaseException:
        shared.fail()
        raise
