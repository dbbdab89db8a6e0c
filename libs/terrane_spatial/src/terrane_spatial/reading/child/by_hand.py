"""A layer read by hand: slower, and exactly as the file has it, where GDAL's way to Arrow would change something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa

from terrane_spatial.reading.child import gdal
from terrane_spatial.reading.child.opened import MAX_COLUMNS, Opened, is_wkb
from terrane_spatial.reading.child.records.columns import Column
from terrane_spatial.reading.child.records.opening import open_table
from terrane_spatial.reading.child.records.table import NOT_READ, Record, Table, UnsupportedError
from terrane_spatial.reading.layer import GEOMETRY
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.protocol import RefusedError


@contextmanager
def open_source(source: Source, batch_rows: Any) -> Iterator[Opened]:
    """The layer as Arrow batches: all of it by hand, or its columns alone, with the geometries that GDAL reads.

    Raises RefusedError when the file is not to be had, or not by hand; also while batches are read.
    """
    try:
        layer, info = gdal.describe(source)
        table = open_table(gdal.with_layer(source, layer))
        if table.whole:
            yield _whole(source, layer, info, table, batch_rows)
            return
        columns = _look(table)
        with gdal.open_source(source, batch_rows) as opened:
            yield _merged(opened, table, columns)
    except UnsupportedError as error:
        raise RefusedError(str(error)) from None


def _look(table: Table) -> dict[str, Column]:
    """The columns, once all rows were looked at."""
    columns = {name: Column(table.taken_as(name)) for name in table.names if name not in table.left_out}
    for record in table.rows():
        for name, value in _named(table, record):
            if name not in columns:
                columns[name] = Column(table.taken_as(name))
            columns[name].see(value)
    return columns


def _named(table: Table, record: Record) -> Any:
    if isinstance(record.values, dict):
        return record.values.items()
    return [pair for pair in zip(table.names, record.values, strict=True) if pair[0] not in table.left_out]


def _whole(source: Source, layer: str, info: dict[str, Any], table: Table, batch_rows: Any) -> Opened:
    columns = _look(table)
    if len(columns) > MAX_COLUMNS:
        raise RefusedError(f"its layer {layer} has {len(columns)} columns; at most {MAX_COLUMNS} are taken")
    geometry = _free_name(GEOMETRY, columns)
    types = {name: column.type() for name, column in columns.items()}
    schema = pa.schema([*(pa.field(name, kind) for name, kind in types.items()), pa.field(geometry, pa.binary())])
    facts = {
        "layer": layer,
        "driver": source.driver,
        "crs": info["crs"],
        "encoding": gdal.encoding_of(source)[1],
        "geometry_type": info["geometry_type"],
        "geometry_column": geometry,
        "features": -1 if table.count is None else table.count,
        "left_out": list(table.left_out),
        "by_hand": {
            **_broken(columns),
            **_plain(table.facts),
            **({"geometries brought to two dimensions": table.flattened} if table.flattened else {}),
        },
    }
    return Opened(facts, schema, _batches(table, columns, schema, batch_rows(facts["features"])))


def _free_name(name: str, taken: Any) -> str:
    return name if name not in taken else _free_name(f"{name} ", taken)


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {str(k): v for k, v in fact.items()} if isinstance(fact, dict) else fact
        for name, fact in facts.items()
        if fact
    }


def _broken(columns: dict[str, Column]) -> dict[str, Any]:
    """The columns that stay text because a value is none of what the file declares."""
    kept = {name: column.why_text for name, column in columns.items() if column.why_text is not None}
    return {"columns kept as text, and a value that is none of what they declare": kept} if kept else {}


def _batches(table: Table, columns: dict[str, Column], schema: Any, size: int) -> Iterator[Any]:
    records = table.rows()
    while chunk := list(islice(records, size)):
        rows = [dict(_named(table, record)) for record in chunk]
        arrays = [
            column.array([row.get(name) for row in rows], schema.field(name).type) for name, column in columns.items()
        ]
        if any(record.geometry == NOT_READ for record in chunk):
            raise UnsupportedError("it has geometries that only GDAL reads, and values that GDAL would change")
        arrays.append(pa.array([record.geometry for record in chunk], pa.binary()))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _merged(opened: Opened, table: Table, columns: dict[str, Column]) -> Opened:
    """The layer as GDAL has it, with the columns that were read by hand in place of its own, or beside them."""
    names = list(opened.schema.names)
    mine = {
        name: column for name, column in columns.items() if name not in names or not is_wkb(opened.schema.field(name))
    }
    types = {name: column.type() for name, column in mine.items()}
    fields = [pa.field(f.name, types[f.name]) if f.name in mine else f for f in opened.schema]
    fields += [pa.field(name, kind) for name, kind in types.items() if name not in names]
    schema = pa.schema(fields)
    facts = {**opened.facts, "by_hand": {**_broken(mine), **_plain(table.facts)}}
    return Opened(facts, schema, _side_by_side(opened, table, mine, schema))


def _side_by_side(opened: Opened, table: Table, mine: dict[str, Column], schema: Any) -> Iterator[Any]:
    records, read = table.rows(), 0
    for batch in opened.batches:
        chunk = list(islice(records, batch.num_rows))
        if len(chunk) < batch.num_rows:
            raise RefusedError(
                f"GDAL reads {batch.num_rows - len(chunk)} rows more than the {read + len(chunk)} it holds"
            )
        read += len(chunk)
        rows = [dict(_named(table, record)) for record in chunk]
        arrays = [
            mine[field.name].array([row.get(field.name) for row in rows], field.type)
            if field.name in mine
            else batch.column(field.name)
            for field in schema
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    if left := sum(1 for _ in records):
        raise RefusedError(f"GDAL reads {read} rows, and it holds {read + left}")
