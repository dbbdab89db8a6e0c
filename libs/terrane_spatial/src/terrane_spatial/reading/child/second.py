"""The second reading of a layer, by hand: its rows as they are, or those that are wanted, to be held beside the first.

The output is made of chunks of rows: a line of JSON that says how many rows there are and how many bytes each column
has, and then those bytes, which are Arrow's buffers. A column's values may be of another type in each chunk; values of
several types, and nested ones, are JSON. The last line says what was met. Arrow takes longer to import than the rows of
a sample to read: it is imported where it is used, for formats that are its own, whose chunks are streams of Arrow.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Any

from terrane_spatial.reading.child.records.opening import open_table
from terrane_spatial.reading.child.records.plain_values import TRUTHS, as_text, number
from terrane_spatial.reading.child.records.table import FLAGS, NUMBERS, Record, Table
from terrane_spatial.reading.source import Source

CHUNK_ROWS, CHUNK_BYTES = 8192, 4 << 20
INTEGERS, FLOATS, FLAG, TEXT, BYTES, JSON, NOTHING = "integers", "floats", "flags", "text", "bytes", "json", "nothing"
Packed = tuple[str, list[bytes]]


def send(request: dict[str, Any], output: Any) -> None:
    """Writes the rows that are wanted: all, those with the keys, or those at the places.

    Raises UnsupportedError when there is no second reader for the file, RefusedError when it breaks its format.
    """
    table = open_table(Source(**request["source"]))
    counted = [0]
    keys = request["keys"] or request["places"]
    access = table.access
    if access.batches is not None:
        for places, batch in access.batches(request["places"], request["strict"]):
            _write_batch(output, access.geometry, places, batch)
    elif keys is not None and access.columns_at is not None:
        _write_at(output, table, keys, request["places"])
    else:
        for chunk in _chunks(_wanted(table, request, counted)):
            _write(output, table, chunk)
    facts = {
        "rows": counted[0] if table.count is None else table.count,
        "whole": table.whole,
        "by_place": table.by_place,
        "left_out": table.left_out,
        "facts": {name: _plain(fact) for name, fact in table.facts.items() if fact},
    }
    _line(output, {"end": facts})


def _chunks(records: Iterator[tuple[int, Record]]) -> Iterator[list[tuple[int, Record]]]:
    """The records in lists of bounded length, and of bounded size of their geometries."""
    chunk: list[tuple[int, Record]] = []
    size = 0
    for place, record in records:
        chunk.append((place, record))
        size += len(record.geometry or b"")
        if len(chunk) == CHUNK_ROWS or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _plain(fact: Any) -> Any:
    return {str(name): value for name, value in fact.items()} if isinstance(fact, dict) else fact


def _wanted(table: Table, request: dict[str, Any], counted: list[int]) -> Iterator[tuple[int, Record]]:
    """The wanted rows with their places; `counted` has the number of all rows that were gone through."""
    places: Sequence[int] | None = request["places"]
    keys = request["keys"] or places
    if keys is not None and table.access.at is not None:
        yield from zip(places or range(len(keys)), table.access.at(keys), strict=True)
        return
    wanted = None if places is None else iter([*places, -1])
    due = next(wanted) if wanted else -1
    for at, record in enumerate(table.rows()):
        counted[0] += 1
        if wanted is None:
            yield at, record
        elif at == due:
            due = next(wanted)
            yield at, record


def _line(output: Any, told: dict[str, Any]) -> None:
    output.write(json.dumps(told).encode() + b"\n")


def _write_at(output: Any, table: Table, keys: Sequence[int], places: Sequence[int]) -> None:
    columns_at = table.access.columns_at
    assert columns_at
    for begin in range(0, len(keys), CHUNK_ROWS):
        rows = slice(begin, begin + CHUNK_ROWS)
        columns, geometry = columns_at(keys[rows])
        _send(output, table, places[rows], dict(zip(table.names, columns, strict=True)), geometry)


def _write_batch(output: Any, geometry: str | None, places: Sequence[int], batch: Any) -> None:
    """Rows that are Arrow's already, as a stream of its own for all columns."""
    from pyarrow import BufferOutputStream, ipc

    sink = BufferOutputStream()
    with ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    content = sink.getvalue()
    kind, buffers = _packed(places)
    _line(
        output,
        {
            "rows": len(places),
            "arrow": content.size,
            "geometry": geometry,
            "columns": [("", kind, [len(buffer) for buffer in buffers])],
        },
    )
    output.writelines(buffers)
    output.write(content)


def _write(output: Any, table: Table, chunk: list[tuple[int, Record]]) -> None:
    columns = _columns(table, [record for _, record in chunk])
    _send(output, table, [at for at, _ in chunk], columns, [record.geometry for _, record in chunk])


def _send(
    output: Any,
    table: Table,
    places: Sequence[int],
    values: dict[str, Sequence[Any]],
    geometry: Sequence[bytes | None],
) -> None:
    columns: list[tuple[str | None, Packed]] = [("", _packed(places))]
    for name, column in values.items():
        columns.append((name, _packed(_taken(column, table.taken_as(name)))))
    columns.append((None, _packed(geometry)))
    told = [(name, kind, [len(buffer) for buffer in buffers]) for name, (kind, buffers) in columns]
    _line(output, {"rows": len(places), "columns": told})
    for _, (_, buffers) in columns:
        output.writelines(buffers)


def _columns(table: Table, records: list[Record]) -> dict[str, Sequence[Any]]:
    if table.names:
        every = zip(*(record.values or [None] * len(table.names) for record in records), strict=True)
        return {name: values for name, values in zip(table.names, every, strict=True) if name not in table.left_out}
    names = dict.fromkeys(name for record in records for name in record.values)
    return {name: [record.values.get(name) for record in records] for name in names}  # type: ignore[union-attr]


def _taken(values: Sequence[Any], mode: str) -> Sequence[Any]:
    """Texts of columns that the file declares to be numbers or flags, as those."""
    if mode == NUMBERS:
        return [_number(value) if type(value) is str else value for value in values]
    if mode == FLAGS:
        return [TRUTHS.get(value.lower(), value) if type(value) is str else value for value in values]
    return values


def _number(text: str) -> Any:
    return number(text) if text.strip() else None


def _packed(values: Sequence[Any]) -> Packed:
    """The kind of the values, and their buffers: which are null, a byte each, then as Arrow has them."""
    kinds = set(map(type, values))
    nulls = b""
    if type(None) in kinds:
        kinds.discard(type(None))
        nulls = bytes(value is None for value in values)
    if not kinds:
        return NOTHING, []
    if kinds == {int}:
        # Of numbers beyond 64 bits there are texts of JSON.
        with suppress(OverflowError):
            return INTEGERS, [nulls, array("q", [value or 0 for value in values] if nulls else values).tobytes()]
    if kinds == {float}:
        return FLOATS, [nulls, array("d", [value or 0.0 for value in values] if nulls else values).tobytes()]
    if kinds == {bool}:
        return FLAG, [nulls, bytes(value is True for value in values)]
    if kinds == {str}:
        return TEXT, [nulls, *_sized([value.encode(errors="replace") if value else b"" for value in values])]
    if kinds == {bytes}:
        return BYTES, [nulls, *_sized([value or b"" for value in values])]
    texts = [b"" if value is None else json.dumps(value, default=as_text).encode() for value in values]
    return JSON, [nulls, *_sized(texts)]


def _sized(values: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Where each value begins, and the last one ends; and the values."""
    return array("i", accumulate(map(len, values), initial=0)).tobytes(), b"".join(values)
