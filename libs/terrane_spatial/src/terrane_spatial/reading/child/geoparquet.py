"""Opening GeoParquet, which the GDAL of the wheels cannot read: geoparquet.org, specification 1.1.0, columns of WKB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as t

from terrane_spatial.reading.child.opened import MAX_COLUMNS, Opened
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.protocol import RefusedError

MAX_METADATA_BYTES = 16 << 20
UNKNOWN = "unknown"
DEFAULT_CRS = "OGC:CRS84"


@contextmanager
def open_source(source: Source, batch_rows: Any) -> Iterator[Opened]:
    """The file as Arrow batches. Raises RefusedError when it is no GeoParquet; also while batches are read."""
    limits: dict[str, Any] = {"thrift_string_size_limit": MAX_METADATA_BYTES, "thrift_container_size_limit": 1 << 20}
    with _refusals(source):
        file = pq.ParquetFile(source.path, page_checksum_verification=True, pre_buffer=False, **limits)
    with file:
        with _refusals(source):
            geometry, column, geo = _geometry(file.schema_arrow, file.metadata.metadata)
        left_out = _left_out(geo, geometry)
        names = [name for name in file.schema_arrow.names if name not in left_out]
        schema = pa.schema([file.schema_arrow.field(name) for name in names])
        facts = {
            "layer": source.path.rsplit("/", 1)[-1].removesuffix(".parquet"),
            "driver": source.title,
            "crs": column.get("crs", DEFAULT_CRS),
            "encoding": "UTF-8",
            "geometry_type": ", ".join(map(str, column.get("geometry_types") or [UNKNOWN])),
            "geometry_column": geometry,
            "features": file.metadata.num_rows,
            "left_out": [name for name in left_out if name in file.schema_arrow.names],
            "told": _told(column),
        }
        yield Opened(facts, schema, _batches(file, batch_rows(file.metadata.num_rows), names, source))


def _batches(file: Any, rows: int, names: list[str], source: Source) -> Iterator[Any]:
    with _refusals(source):
        yield from file.iter_batches(rows, columns=names)


@contextmanager
def _refusals(source: Source) -> Iterator[None]:
    """What Arrow cannot read is a refusal."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        told = str(error).replace(source.path, "the file").split("\n")[0]
        raise RefusedError(f"it cannot be read as GeoParquet: {told}") from None


def _geometry(schema: Any, metadata: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The name of the primary geometry, what the file says of it, and of all of them."""
    try:
        geo = json.loads((metadata or {}).get(b"geo", b""))
        name = geo["primary_column"]
        column = geo["columns"][name]
        encoding = column["encoding"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RefusedError("it is Parquet without the metadata that make it GeoParquet") from None
    if encoding != "WKB":
        raise RefusedError(f"its geometry is encoded as {encoding}; only WKB is taken")
    if not isinstance(name, str) or schema.names.count(name) != 1:
        raise RefusedError(f"its metadata name {name!r} as the geometry, and there is no one such column")
    kind = schema.field(name).type
    kind = getattr(kind, "storage_type", kind)
    if not (t.is_binary(kind) or t.is_large_binary(kind)):
        raise RefusedError(f"its geometry is a column of {kind}, not of bytes")
    if len(schema.names) > MAX_COLUMNS:
        raise RefusedError(f"it has {len(schema.names)} columns; at most {MAX_COLUMNS} are taken")
    if len(set(schema.names)) < len(schema.names):
        raise RefusedError("it has columns of the same name")
    return name, column, geo


def _told(column: dict[str, Any]) -> dict[str, str]:
    """What the file says of its geometry that is lost where it goes."""
    if column.get("edges", "planar") == "planar":
        return {}
    return {"edges": f"the file says they are {column['edges']}, so great circles; they are taken for straight lines"}


def _left_out(geo: dict[str, Any], geometry: str) -> list[str]:
    """Columns that only repeat the geometry's bounds, and further geometries."""
    column = geo["columns"][geometry]
    try:
        covering = [edge[0] for edge in column.get("covering", {}).get("bbox", {}).values()]
    except (AttributeError, TypeError, IndexError):
        raise RefusedError("its metadata's covering is not as GeoParquet has it") from None
    return sorted({str(name) for name in (*covering, *geo["columns"]) if name != geometry})
