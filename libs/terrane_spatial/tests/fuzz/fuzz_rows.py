"""Fuzzes the path of a file's rows, guided by its coverage: geometries cleaned, columns made plain, COPY encoded.

What goes in is Arrow made of the fuzzer's bytes; what comes out is decoded by another hand than the encoder's and must
be the same values, row by row. GEOS, which may be made to fall over a geometry, is left out here: it runs in a process
of its own, and `tests/attacks` holds that up to it.

    python tests/fuzz/fuzz_rows.py -max_total_time=60 <folder of the corpus>
"""

# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
# atheris makes its functions at import, and has no wheel for every machine.

from __future__ import annotations

import struct
import sys
from collections import Counter
from typing import Any

import atheris
import pyarrow as pa

INSTRUMENTED = [
    "terrane_spatial.reading.child.flatten",
    "terrane_spatial.loading.column_values",
    "terrane_spatial.loading.copy_format",
    "terrane_spatial.reading.child.geometries",
    "terrane_spatial.arrow_buffers",
]
with atheris.instrument_imports(include=INSTRUMENTED):
    from terrane_spatial.identifiers import launder_all
    from terrane_spatial.loading import copy_format
    from terrane_spatial.loading.column_values import NotUtf8Error, plain
    from terrane_spatial.reading.child.flatten import MAX_DEPTH, to_two_dimensions
    from terrane_spatial.wkb import wkb_codes

INTEGERS = {"smallint": ">h", "integer": ">i", "bigint": ">q", "boolean": ">B"}
BITS = {pa.float32(): pa.int32(), pa.float64(): pa.int64()}
KINDS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint32(), pa.float32(), pa.float64(), pa.bool_())


def check(content: bytes) -> None:
    source = atheris.FuzzedDataProvider(content)
    _check_wkb(source.ConsumeBytes(source.ConsumeIntInRange(0, 300)))
    rows = source.ConsumeIntInRange(0, 6)
    columns = [_column(source, rows) for _ in range(source.ConsumeIntInRange(1, 5))]
    names = [source.ConsumeUnicodeNoSurrogates(8) for _ in columns]
    laundered = launder_all(dict.fromkeys(names))
    assert len(set(laundered.values())) == len(laundered)
    counts: Counter[str] = Counter()
    try:
        made = [plain(column, name, counts) for column, name in zip(columns, names, strict=True)]
    except NotUtf8Error:
        return
    batch = pa.RecordBatch.from_arrays(made, [str(at) for at in range(len(made))])
    stream = b"".join(bytes(piece) for piece in copy_format.encode(batch))
    assert _decoded(stream, [copy_format.column_type(c.type) for c in made]) == _expected(made)


def _check_wkb(value: bytes) -> None:
    flat = to_two_dimensions(value)
    if flat is not None:
        assert to_two_dimensions(flat) == flat
        assert (wkb_codes(pa.array([flat], pa.binary())) < 1000).all()
    nested = struct.pack("<BII", 1, 7, 1) * (MAX_DEPTH + 1) + value
    assert to_two_dimensions(nested) is None


def _column(source: Any, rows: int) -> pa.Array:
    kind = source.ConsumeIntInRange(0, len(KINDS) + 2)
    if kind < len(KINDS):
        arrow = KINDS[kind]
        width = max(8, arrow.bit_width)
        data = source.ConsumeBytes(rows * width // 8).ljust(rows * width // 8, b"\0")
        valid = source.ConsumeBytes(1).ljust(1, b"\xff")
        return pa.Array.from_buffers(arrow, rows, [pa.py_buffer(valid), pa.py_buffer(data)])
    values = [source.ConsumeBytes(source.ConsumeIntInRange(0, 9)) for _ in range(rows)]
    if kind == len(KINDS):
        return pa.array([v or None for v in values], pa.binary())
    if kind == len(KINDS) + 1:
        return pa.array([[len(v), None] if v else None for v in values], pa.list_(pa.int64()))
    raw = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), rows, raw.buffers())


def _expected(columns: list[pa.Array]) -> list[tuple[Any, ...]]:
    """The rows as the bytes that PostgreSQL's binary format has for them; None for null."""
    wire = []
    for column in columns:
        # As whole numbers, for a NaN has bits of its own, which Python's floats need not keep.
        whole = BITS.get(column.type)
        values = column.view(whole) if whole else column
        wire.append([_wire(value, copy_format.column_type(values.type)) for value in values])
    return list(zip(*wire, strict=True))


def _wire(scalar: Any, kind: str) -> bytes | None:
    if not scalar.is_valid:
        return None
    if kind in ("text", "bytea"):
        return bytes(scalar.as_buffer())
    return struct.pack(INTEGERS[kind], scalar.as_py())


def _decoded(stream: bytes, kinds: list[str]) -> list[tuple[Any, ...]]:
    """The rows of a COPY without its header: a count of fields, then each field's length and bytes."""
    rows, at = [], 0
    while at < len(stream):
        (fields,) = struct.unpack_from(">h", stream, at)
        assert fields == len(kinds)
        at, row = at + 2, []
        for _ in kinds:
            (length,) = struct.unpack_from(">i", stream, at)
            at += 4
            row.append(stream[at : at + length] if length >= 0 else None)
            at += max(0, length)
        rows.append(tuple(row))
    return rows


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
