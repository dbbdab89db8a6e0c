"""Columns of lists as Feast's Value messages: the elements of all rows at once, then cut at the rows' ends.

A list's message holds one repeated field, number 1: packed for numbers, and one length-prefixed element after the other
for texts. A null inside a list is what stock makes of it: an empty text, false, NaN, the least int64 for a time; inside
a list of integers stock fails, and so does this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from terrane_features.engine import varints
from terrane_features.engine.byte_columns import by_kind, by_length, joined, lengths_of, of_matrix, sliced

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Feast's value type -> number of the Value's member.
LIST_MEMBERS = {
    "BYTES_LIST": 11,
    "STRING_LIST": 12,
    "INT32_LIST": 13,
    "INT64_LIST": 14,
    "DOUBLE_LIST": 15,
    "FLOAT_LIST": 16,
    "BOOL_LIST": 17,
    "UNIX_TIMESTAMP_LIST": 18,
}
ELEMENT = b"\x0a"
NULL_TIME = -(1 << 63)


class NullInList(ValueError):
    """A list of integers has a null; the message names the column."""


def list_messages(column: pa.Array, name: str, value_type: str) -> pa.Array:
    """The Value message of every row's list; of a null row, that of an empty list. Raises NullInList."""
    elements = _elements(column.flatten(), name, value_type)
    offsets = _offsets(lengths_of(elements).to_numpy(zero_copy_only=False))
    ends = offsets[_offsets(_counts(column))]
    contents = sliced(elements.buffers()[2] or b"", ends)
    if value_type not in ("BYTES_LIST", "STRING_LIST"):
        contents = _prefixed(contents, ELEMENT, empty=b"")
    return _prefixed(contents, varints.varint(LIST_MEMBERS[value_type] << 3 | 2))


def _prefixed(contents: pa.Array, tag: bytes, empty: bytes | None = None) -> pa.Array:
    """Tag and length before each content; `empty` instead of both before one of no bytes."""

    def head(length: int) -> bytes:
        return empty if empty is not None and not length else tag + varints.varint(length)

    return joined(by_length(lengths_of(contents), head), contents)


def _counts(column: pa.Array) -> np.ndarray:
    import pyarrow.compute as pc

    counted = pc.list_value_length(column).fill_null(0)  # pyright: ignore[reportAttributeAccessIssue]
    return counted.to_numpy(zero_copy_only=False)


def _offsets(lengths: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _elements(flat: pa.Array, name: str, value_type: str) -> pa.Array:
    """Every element's own bytes, with its tag where it is a text."""
    import numpy as np
    import pyarrow as pa

    if value_type in ("BYTES_LIST", "STRING_LIST"):
        return _prefixed(flat.cast(pa.binary()).fill_null(b""), ELEMENT)
    if value_type in ("DOUBLE_LIST", "FLOAT_LIST"):
        numbers = flat.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)
        numbers = np.ascontiguousarray(numbers.astype("<f8" if value_type == "DOUBLE_LIST" else "<f4"))
        return of_matrix(numbers.view(np.uint8).reshape(len(numbers), numbers.itemsize))
    if value_type == "BOOL_LIST":
        return _varints(flat.cast(pa.int64()).fill_null(0))
    if value_type == "UNIX_TIMESTAMP_LIST":
        return _varints(_seconds(flat))
    if flat.null_count:
        raise NullInList(
            f"{name} has a list with a null in it, for which Feast has no integer: coalesce it in the dbt model"
        )
    return _varints(flat.cast(pa.int32() if value_type == "INT32_LIST" else pa.int64()))


def _seconds(flat: pa.Array) -> pa.Array:
    """Whole seconds, cut towards 1970 as Python's int() does."""
    import numpy as np
    import pyarrow as pa

    microseconds = flat.cast(pa.timestamp("us", getattr(flat.type, "tz", None))).cast(pa.int64())
    numbers = microseconds.fill_null(0).to_numpy(zero_copy_only=False)
    cut = np.where(numbers < 0, -(-numbers // 1_000_000), numbers // 1_000_000)
    return pa.array(np.where(flat.is_valid().to_numpy(zero_copy_only=False), cut, NULL_TIME))


def _varints(numbers: pa.Array) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    bits = numbers.cast(pa.int64()).to_numpy(zero_copy_only=False).view(np.uint64)
    if not len(bits):
        return pa.array([], pa.binary())
    return by_kind(varints.widths(bits), lambda width, index: varints.matrix(bits[index], width))
