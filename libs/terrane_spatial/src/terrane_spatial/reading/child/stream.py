"""The layer of one file as a stream of Arrow: in plain types, with clean geometries, in batches of bounded size.

What opens a file and what moves it are imported where they are used: each takes as long as a small file to read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from terrane_spatial.reading.child.geometries import clean
from terrane_spatial.reading.child.reference_systems import identify
from terrane_spatial.reading.layer import Met, size_of
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.protocol import RefusedError

MIN_BATCH_ROWS = 16
# GDAL ends a batch where a column reaches 2 GiB, and with some formats forgets the rows after it.
MAX_GDAL_BATCH_BYTES = 1 << 30


def stream(request: dict[str, Any], output: Any) -> None:
    source, met = Source(**request["source"]), Met()
    opened_by = _opener(source, request["by_hand"])

    def rows(features: int) -> int:
        return _batch_rows(Path(source.path), features, request["batch_rows"], request["batch_bytes"])

    with opened_by(source, rows) as opened:
        told = opened.facts.pop("crs")
        system = identify(told)
        degrees = None
        if system and system.epsg is None and system.definition and request["crs"] is None:
            from terrane_spatial.reading.child.degrees import Degrees

            degrees, opened.facts["brought_from"] = Degrees(told), system.title
        facts = {**opened.facts, "system": asdict(system) if system else None, "confined": request["confined"]}
        kept = [name for name in opened.schema.names if name not in facts["left_out"]]
        schema = _plain_schema(pa.schema([opened.schema.field(name) for name in kept]), facts["geometry_column"])
        schema = schema.with_metadata({"layer": json.dumps(facts)})
        written = 0
        with pa.ipc.new_stream(output, schema) as sink:
            for batch in opened.batches:
                written += batch.nbytes
                if written > request["most_bytes"]:
                    raise RefusedError(
                        f"its rows take more than {request['most_bytes']} bytes, far more than a file of its size holds"
                    )
                first = met.rows
                cleaned, keep = _cleaned(batch.select(kept), schema, facts["geometry_column"], met, request["strict"])
                if degrees is not None:
                    cleaned, keep = _moved(cleaned, facts["geometry_column"], keep, degrees, met)
                gone = [] if keep is None else [first + int(at) for at in (~keep).nonzero()[0]]
                for piece in _pieces(cleaned, request):
                    sink.write_batch(piece, {"first": str(first), "gone": json.dumps(gone)})
                    first, gone = -1, []
        _hear(source, met)
    print(json.dumps({"met": met.as_dict()}), file=sys.stderr, flush=True)


def _moved(batch: Any, name: str, keep: Any, degrees: Any, met: Met) -> tuple[Any, Any]:
    """The batch in degrees, without the rows that have no place there; and which stay of all that there were."""
    at = batch.schema.get_field_index(name)
    geometry, placed = degrees.bring(batch.column(at), met)
    batch = batch.set_column(at, batch.schema.field(at), geometry)
    if placed is None:
        return batch, keep
    rows = keep.copy() if keep is not None else placed.copy()
    if keep is not None:
        rows[keep.nonzero()[0][~placed]] = False
    return batch.filter(pa.array(placed)), rows


def _hear(source: Source, met: Met) -> None:
    """Adds what GDAL said while it read."""
    if source.driver:
        from terrane_spatial.reading.child.gdal import hearing

        met.warnings, met.failures = hearing.warnings, hearing.failures


def _opener(source: Source, by_hand: bool) -> Any:
    """What opens the file; GeoParquet need not wait for GDAL, nor the others for Arrow's reader of Parquet."""
    if by_hand:
        from terrane_spatial.reading.child import by_hand as opener
    elif source.driver:
        from terrane_spatial.reading.child import gdal as opener
    else:
        from terrane_spatial.reading.child import geoparquet as opener
    return opener.open_source


def _cleaned(batch: Any, schema: Any, name: str, met: Met, strict: bool) -> tuple[Any, Any]:
    """The batch in plain types, without the rows whose geometry no table should get; and which stay, None for all."""
    columns = [_storage(column) for column in batch.columns]
    at = schema.get_field_index(name)
    # A cast imports all of Arrow's compute functions, which takes 40 ms.
    geometry = columns[at] if columns[at].type == pa.binary() else columns[at].cast(pa.binary())
    columns[at], keep = clean(geometry, met, strict)
    plain = pa.RecordBatch.from_arrays(columns, schema=schema)
    return (plain if keep is None else plain.filter(pa.array(keep))), keep


def _batch_rows(path: Path, features: int, most: int, most_bytes: int) -> int:
    """How many rows GDAL makes a batch of, so that batches of rows of average size are no larger than they may be."""
    if features <= 0:
        return most
    return max(MIN_BATCH_ROWS, min(most, most_bytes * features // max(1, size_of(path))))


def _pieces(batch: Any, request: dict[str, Any]) -> Iterator[Any]:
    """The batch, in halves of halves until no piece of several rows is larger than it may be."""
    most_bytes = request["batch_bytes"]
    if batch.nbytes > MAX_GDAL_BATCH_BYTES:
        raise RefusedError(f"{batch.num_rows} of its features take {batch.nbytes} bytes, more than can be read at once")
    if batch.nbytes <= most_bytes or batch.num_rows <= 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _pieces(batch.slice(0, half), request)
    yield from _pieces(batch.slice(half), request)


def _plain_schema(schema: Any, geometry: str) -> Any:
    """The schema without extension types and metadata, which the reading side may not know; geometry as binary."""
    types = [f.type.storage_type if isinstance(f.type, pa.BaseExtensionType) else f.type for f in schema]
    plain = [pa.binary() if f.name == geometry else t for f, t in zip(schema, types, strict=True)]
    return pa.schema([pa.field(f.name, t) for f, t in zip(schema, plain, strict=True)])


def _storage(column: Any) -> Any:
    return column.storage if isinstance(column, pa.ExtensionArray) else column
