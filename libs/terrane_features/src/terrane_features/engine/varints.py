"""Protobuf's variable-length integers, a column at a time (protobuf.dev/programming-guides/encoding)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LONGEST = 10


def varint(number: int) -> bytes:
    """One integer; a negative one as its 64 bits."""
    number &= (1 << 64) - 1
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def widths(numbers: np.ndarray) -> np.ndarray:
    """How many bytes each of the uint64 takes."""
    import numpy as np

    counted = np.ones(len(numbers), np.int64)
    top = int(numbers.max(initial=0))
    for width in range(1, LONGEST):
        if top < 1 << (7 * width):
            break
        counted += numbers >= np.uint64(1 << (7 * width))
    return counted


def matrix(numbers: np.ndarray, width: int) -> np.ndarray:
    """The uint64, all of which take `width` bytes, as a matrix of that width."""
    import numpy as np

    shifts = np.arange(width, dtype=np.uint64) * np.uint64(7)
    made = ((numbers[:, None] >> shifts) & np.uint64(0x7F)).astype(np.uint8)
    made[:, :-1] |= np.uint8(0x80)
    return made


def read(rows: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reads a varint from each row of a matrix of bytes, at a place of its own; returns the uint64 and where they end.

    The matrix is wide enough for the longest varint at the last place.
    """
    import numpy as np

    numbers = np.zeros(len(rows), np.uint64)
    more = np.ones(len(rows), bool)
    index, end = np.arange(len(rows)), at.copy()
    for step in range(LONGEST):
        byte = rows[index, np.minimum(end, rows.shape[1] - 1)]
        part = (byte & 0x7F).astype(np.uint64) << np.uint64(7 * step)
        numbers |= np.where(more, part, np.uint64(0))
        end += more
        more &= byte >= 0x80
        if not more.any():
            break
    return numbers, end
