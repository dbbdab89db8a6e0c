"""The second reading of a layer, by hand: its rows as they are, or those that are wanted, to be held beside the first.

The output is one Arrow stream after the other, of one record batch each, because a column's values may be of another
type in each; values of several types, and nested ones, are JSON. The last stream has no columns, and in its schema's
metadata what was met.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from terrane_spatial.reading.child.records.columns import as_text, number
from terrane_spatial.reading.child.records.opening import open_table
from terrane_spatial.reading.child.records.table import FLAGS, NUMBERS, Record, Table
from terrane_spatial.reading.layer import Source

CHUNK_ROWS, CHUNK_BYTES = 8192, 4 << 20
GEOMETRY, NUMBER, JSON = "geometry", "row", {"as": "json"}
TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def send(request: dict[str, Any], output: Any) -> None:
    """Writes the rows that are wanted: all, those with the keys, or those at the places.

    Raises UnsupportedError when there is no second reader for the file, RefusedError when it breaks its format.
    """
    table = open_table(Source(**request["source"]))
    counted = [0]
    for chunk in _chunks(_wanted(table, request, counted)):
        _write(output, table, chunk)
    facts = {
        "rows": counted[0] if table.count is None else table.count,
        "whole": table.whole,
        "by_place": table.by_place,
        "left_out": table.left_out,
        "facts": {name: _plain(fact) for name, fact in table.facts.items() if fact},
    }
    with pa.ipc.new_stream(output, pa.schema([], {"end": json.dumps(facts)})):
        pass


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
    if keys is not None and table.at is not None:
        yield from zip(places or range(len(keys)), table.at(keys), strict=True)
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


def _write(output: Any, table: Table, chunk: list[tuple[int, Record]]) -> None:
    columns = _columns(table, [record for _, record in chunk])
    arrays, fields = [pa.array([at for at, _ in chunk], pa.int64())], [pa.field(NUMBER, pa.int64())]
    for name, values in columns.items():
        array, told = _array(_taken(values, table.texts.get(name, table.otherwise)))
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=told))
    arrays.append(pa.array([record.geometry for _, record in chunk], pa.binary()))
    fields.append(pa.field(GEOMETRY, pa.binary()))
    batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
    with pa.ipc.new_stream(output, batch.schema) as sink:
        sink.write_batch(batch)


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


def _array(values: Sequence[Any]) -> tuple[Any, dict[str, str] | None]:
    if not any(type(value) in (list, dict) for value in values):
        try:
            return pa.array(values), None
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            pass
    return pa.array(
        [None if value is None else json.dumps(value, default=as_text) for value in values], pa.string()
    ), JSON
