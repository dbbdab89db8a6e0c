"""Columns of byte strings: built from matrices and tables, never a row at a time.

A column is an Arrow binary array. Every function here takes and returns columns of one length, the rows of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Up to this length a table has a header for every length there may be; above it, for those that occur.
MOST_TABLED = 4096


def joined(*parts: pa.Array | bytes) -> pa.Array:
    """Row by row, the parts one after the other; bytes stand in every row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    scalars = [pa.scalar(part, pa.binary()) if isinstance(part, bytes) else part for part in parts]
    return getattr(pc, "binary_join_element_wise")(*scalars, pa.scalar(b"", pa.binary()))  # noqa: B009


def sliced(content: Any, offsets: np.ndarray) -> pa.Array:
    """The column whose row i is `content[offsets[i]:offsets[i + 1]]`; content is anything with a buffer."""
    import numpy as np
    import pyarrow as pa

    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def of_matrix(matrix: np.ndarray) -> pa.Array:
    """The column of a matrix' rows; the matrix is of bytes."""
    import numpy as np

    rows, width = matrix.shape
    return sliced(np.ascontiguousarray(matrix), np.arange(rows + 1, dtype=np.int64) * width)


def framed(lead: bytes, matrix: np.ndarray, tail: bytes = b"") -> np.ndarray:
    """The matrix with the same bytes before and after each of its rows."""
    import numpy as np

    rows, width = matrix.shape
    made = np.empty((rows, len(lead) + width + len(tail)), np.uint8)
    made[:, : len(lead)] = np.frombuffer(lead, np.uint8)
    made[:, len(lead) : len(lead) + width] = matrix
    made[:, len(lead) + width :] = np.frombuffer(tail, np.uint8)
    return made


def by_kind(kinds: np.ndarray, matrix_of: Callable[[int, Any], np.ndarray]) -> pa.Array:
    """A column of rows of a few kinds, each kind with a width of its own.

    Args:
        kinds: the kind of each row.
        matrix_of: makes the matrix of one kind, from the kind and the index of its rows.
    """
    import numpy as np
    import pyarrow as pa

    there = np.unique(kinds)
    if len(there) == 1:
        return of_matrix(matrix_of(int(there[0]), slice(None)))
    indices = [np.nonzero(kinds == kind)[0] for kind in there]
    blocks = [of_matrix(matrix_of(int(kind), index)) for kind, index in zip(there, indices, strict=True)]
    place = np.empty(len(kinds), np.int64)
    place[np.concatenate(indices)] = np.arange(len(kinds))
    return pa.concat_arrays(blocks).take(pa.array(place))


def by_length(lengths: pa.Array, header: Callable[[int], bytes]) -> pa.Array | bytes:
    """The column of `header(length)`, computed once a length; the bytes themselves where all lengths are the same."""
    import numpy as np
    import pyarrow as pa

    numbers = lengths.to_numpy(zero_copy_only=False)
    most = int(numbers.max(initial=0))
    if len(numbers) and int(numbers.min()) == most:
        return header(most)
    if most <= MOST_TABLED:
        return pa.array([header(n) for n in range(most + 1)], pa.binary()).take(lengths)
    there, index = np.unique(numbers, return_inverse=True)
    return pa.array([header(int(n)) for n in there], pa.binary()).take(pa.array(index))


def bytes_of(column: pa.Array) -> memoryview:
    """All rows of a column, one after the other."""
    import numpy as np

    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    content = column.buffers()[2]
    return memoryview(content)[offsets[0] : offsets[-1]] if content is not None else memoryview(b"")


def lengths_of(column: pa.Array) -> pa.Array:
    """The rows' lengths in bytes."""
    import pyarrow.compute as pc

    return pc.binary_length(column)  # pyright: ignore[reportAttributeAccessIssue]
