"""Arrow record batches as the stream of PostgreSQL's binary COPY: exact, vectorised, no loop over rows.

Every column becomes a binary array of "length, payload"; joined element by element they are the rows, and the data
buffer of the joined array is the stream. Geometry goes as plain WKB into a `geometry(Geometry, srid)` column, whose
modifier stamps the SRID.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions at import, where a type checker does not see them.

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from spatial.buffers import valid, values_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)
NULL = struct.pack(">i", -1)
UNIX_TO_POSTGRES_DAYS = 10957
UNIX_TO_POSTGRES_US = UNIX_TO_POSTGRES_DAYS * 86_400_000_000
MAX_STREAM_BYTES = 64 << 20
WIRE_TYPES = {"smallint": ">i2", "integer": ">i4", "bigint": ">i8", "real": ">f4", "double precision": ">f8"}


def column_type(arrow: pa.DataType) -> str:
    """The PostgreSQL type that holds every value of the Arrow type."""
    import pyarrow.types as t

    if t.is_boolean(arrow):
        return "boolean"
    if t.is_integer(arrow):
        bits = arrow.bit_width * (2 if t.is_unsigned_integer(arrow) else 1)
        return "smallint" if bits <= 16 else "integer" if bits <= 32 else "bigint" if bits <= 64 else "text"
    if t.is_float32(arrow) or t.is_float16(arrow):
        return "real"
    if t.is_float64(arrow):
        return "double precision"
    if t.is_timestamp(arrow):
        return "timestamptz" if arrow.tz else "timestamp"
    if t.is_date(arrow):
        return "date"
    if t.is_binary(arrow) or t.is_large_binary(arrow) or t.is_fixed_size_binary(arrow):
        return "bytea"
    return "text"


def encode(batch: pa.RecordBatch) -> list[memoryview | bytes]:
    """The rows of the batch, in pieces of about 64 MiB; between HEADER and TRAILER they are a COPY.

    What becomes text must be text already, and valid UTF-8.
    """
    pieces = -(-batch.nbytes // MAX_STREAM_BYTES) or 1
    rows = -(-batch.num_rows // pieces) or 1
    return [_encode(batch.slice(start, rows)) for start in range(0, batch.num_rows, rows)]


def _encode(batch: pa.RecordBatch) -> memoryview | bytes:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = batch.num_rows
    parts: list[pa.Array] = []
    fixed = [np.broadcast_to(np.frombuffer(struct.pack(">h", batch.num_columns), np.uint8), (rows, 2))]
    for column in batch.columns:
        if _is_sized(column.type):
            payload = column if column.type == pa.binary() else column.cast(pa.binary())
            fixed.append(_lengths(payload))
            parts += [_as_binary(fixed), payload]
            fixed = []
        elif column.null_count:
            if fixed:
                parts.append(_as_binary(fixed))
            field = _as_binary([_fixed_width(column)])
            parts.append(pc.if_else(column.is_valid(), field, _scalar(NULL)))
            fixed = []
        else:
            fixed.append(_fixed_width(column))
    if fixed:
        parts.append(_as_binary(fixed))
    if len(parts) == 1:
        return _data(parts[0])
    # A null of a sized column has its length, -1, and no payload.
    return _data(pc.binary_join_element_wise(*parts, _scalar(b""), null_handling="replace", null_replacement=b""))


def _scalar(value: bytes) -> pa.Scalar:
    """The bytes as Arrow's; `pyarrow.scalar` imports pandas where that is installed."""
    import numpy as np

    return _as_binary([np.frombuffer(value, np.uint8).reshape(1, len(value))])[0]


def _is_sized(arrow: pa.DataType) -> bool:
    """Whether values carry their own length: text and bytes."""
    return column_type(arrow) in ("text", "bytea")


def _lengths(payload: pa.Array) -> np.ndarray:
    """(rows, 4) bytes: the big-endian length of each value, -1 for null."""
    import numpy as np

    offsets = np.frombuffer(payload.buffers()[1], np.int32)[payload.offset : payload.offset + len(payload) + 1]
    lengths = np.diff(offsets)
    if payload.null_count:
        lengths = np.where(valid(payload), lengths, -1)
    return lengths.astype(">i4").view(np.uint8).reshape(len(payload), 4)


def _fixed_width(column: pa.Array) -> np.ndarray:
    """(rows, 4 + width) bytes: the length, then the value in network order; nulls hold anything."""
    import numpy as np

    values = _wire_values(column)
    width = values.dtype.itemsize
    out = np.empty((len(column), 4 + width), np.uint8)
    out[:, :4] = np.frombuffer(struct.pack(">i", width), np.uint8)
    out[:, 4:] = values.view(np.uint8).reshape(len(column), width)
    return out


def _wire_values(column: pa.Array) -> np.ndarray:
    import pyarrow as pa

    kind = column_type(column.type)
    if kind == "boolean":
        return values_of(column.cast(pa.uint8()))
    if kind in ("timestamp", "timestamptz"):
        micros = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
        return (values_of(micros) - UNIX_TO_POSTGRES_US).astype(">i8")
    if kind == "date":
        days = column.cast(pa.date32()).cast(pa.int32())
        return (values_of(days) - UNIX_TO_POSTGRES_DAYS).astype(">i4")
    return values_of(column).astype(WIRE_TYPES[kind])


def _as_binary(blocks: list[np.ndarray]) -> pa.Array:
    """(rows, width) bytes, side by side, as a binary array of equally long values."""
    import numpy as np
    import pyarrow as pa

    block = np.ascontiguousarray(np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0])
    rows, width = block.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(block)])


def _data(array: pa.Array) -> memoryview | bytes:
    import numpy as np

    _, offsets, data = array.buffers()
    if data is None:
        return b""
    bounds = np.frombuffer(offsets, np.int32)
    return memoryview(data)[int(bounds[array.offset]) : int(bounds[array.offset + len(array)])]
