"""Which rows are newer than what Redis has, by the rule of Feast's own writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from terrane_features.engine import varints

if TYPE_CHECKING:
    import numpy as np

# A Timestamp message: two tags and two varints at their longest.
WIDTH = 22


def newer(events: tuple[np.ndarray, np.ndarray], there: Sequence[bytes | None]) -> np.ndarray:
    """Which rows are to be written.

    A row is skipped when Redis has an event after 1970 that is no earlier; one of 1970 or before never holds it back.

    Args:
        events: seconds and nanoseconds of the rows' events.
        there: the Timestamp messages in Redis; None or empty where there is none.
    """
    import numpy as np

    fresh = np.ones(len(there), bool)
    index = np.fromiter((i for i, message in enumerate(there) if message), np.int64)
    if not len(index):
        return fresh
    seconds, nanos = read_timestamps([there[i] or b"" for i in index])
    mine = events[0][index], events[1][index]
    counts = (seconds > 0) | ((seconds == 0) & (nanos > 0))
    later = (mine[0] > seconds) | ((mine[0] == seconds) & (mine[1] > nanos))
    fresh[index] = later | ~counts
    return fresh


def read_timestamps(messages: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and nanoseconds of Timestamp messages."""
    import numpy as np

    padded = b"".join(message.ljust(WIDTH, b"\0") for message in messages)
    rows = np.frombuffer(padded, np.uint8).reshape(len(messages), WIDTH)
    start = np.zeros(len(messages), np.int64)
    seconds, end = _member(rows, start, tag=0x08)
    nanos, _ = _member(rows, end, tag=0x10)
    return seconds, nanos


def _member(rows: np.ndarray, at: np.ndarray, tag: int) -> tuple[np.ndarray, np.ndarray]:
    """The member with that tag, or zero where another stands; and where the next begins."""
    import numpy as np

    there = rows[np.arange(len(rows)), np.minimum(at, WIDTH - 1)] == tag
    numbers, end = varints.read(rows, at + 1)
    return np.where(there, numbers.view(np.int64), 0), np.where(there, end, at)
