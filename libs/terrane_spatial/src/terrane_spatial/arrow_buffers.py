"""The buffers of Arrow arrays as numpy's: no copies, and no library beside the two.

numpy and pyarrow are imported where they are used: definitions import this module, and start 0.15 s sooner without
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def values_of(column: pa.Array) -> Any:
    """An array of numbers as numpy's, without a copy; where it is null, whatever lies there.

    Arrow's `to_numpy` imports pandas where that is installed, which takes 0.1 s and 40 MB.
    """
    import numpy as np
    import pyarrow.types as t

    letter = "f" if t.is_floating(column.type) else "u" if t.is_unsigned_integer(column.type) else "i"
    kind, data = np.dtype(f"{letter}{column.type.bit_width // 8}"), column.buffers()[1]
    if data is None:
        return np.empty(0, kind)
    return np.frombuffer(data, kind)[column.offset : column.offset + len(column)]


def bounds_of(column: pa.Array) -> Any:
    """Where each value of an array of text or bytes begins, and the last one ends: one more than there are values."""
    import numpy as np

    return np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]


def numbers_at(content: Any, places: Any, kind: str) -> Any:
    """The numbers that begin at those places of the bytes: a view with one at every byte, of which they are taken."""
    import numpy as np

    size = np.dtype(kind).itemsize
    return np.ndarray((max(0, len(content) - size + 1),), kind, content, 0, (1,))[places]


def valid(column: pa.Array) -> Any:
    """Which values are not null. Arrow's `is_valid` imports all its compute functions, which takes 40 ms."""
    import numpy as np

    bits = column.buffers()[0]
    if bits is None:
        return np.ones(len(column), bool)
    end = column.offset + len(column)
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=end, bitorder="little")[column.offset :] == 1


def true_of(column: pa.Array) -> Any:
    """Where an array of booleans is true, and not null. `fill_null` imports pandas, as `to_numpy` does."""
    import numpy as np

    end = column.offset + len(column)
    bits = np.unpackbits(np.frombuffer(column.buffers()[1], np.uint8), count=end, bitorder="little")
    return (bits[column.offset :] == 1) & valid(column)


def array_of(values: Any, arrow: pa.DataType) -> pa.Array:
    """numpy's numbers or booleans as an array without nulls; `pyarrow.array` imports pandas where that is installed."""
    import numpy as np
    import pyarrow as pa

    flat = np.packbits(values, bitorder="little") if values.dtype == np.bool_ else np.ascontiguousarray(values)
    return pa.Array.from_buffers(arrow, len(values), [None, pa.py_buffer(flat)])


def is_text(arrow: pa.DataType) -> bool:
    """Whether values are text, of whatever length."""
    import pyarrow.types as t

    return t.is_string(arrow) or t.is_large_string(arrow)
