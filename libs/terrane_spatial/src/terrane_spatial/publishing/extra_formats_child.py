"""The process that lets GDAL write one file: started with a clean environment and limits, it copies a GeoParquet file.

Its request has source, target, driver, layer, geometry type, dataset and layer options, EPSG number, the name of the
column of boxes, and whether to cut at 180 degrees. What it cannot do it says in the last line of its error output.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely

from terrane_spatial.reading.layer import GEOMETRY
from terrane_spatial.sandbox.child_main import main

BATCH_ROWS = 8192
NO_INDEX = "NULL geometry not supported with spatial index"


def write(request: dict[str, Any], _: Any) -> None:
    try:
        _copy(request, request["layer_options"])
    except Exception as error:
        if NO_INDEX not in str(error):
            raise
        _copy(request, {**request["layer_options"], "SPATIAL_INDEX": "NO"})


def _copy(request: dict[str, Any], layer_options: dict[str, str]) -> None:
    source = pq.ParquetFile(request["source"])
    box = request["bbox"]
    names = [name for name in source.schema_arrow.names if name != box]
    texts = {name for name in names if _finer_than_gdal(source, name)}
    schema = pa.schema([pa.field(n, pa.string() if n in texts else source.schema_arrow.field(n).type) for n in names])
    batches = (
        _fit(batch, schema, request["wrap"], box) for batch in source.iter_batches(BATCH_ROWS, columns=[*names, box])
    )
    pyogrio.write_arrow(
        pa.RecordBatchReader.from_batches(schema, batches),
        request["target"],
        driver=request["driver"],
        layer=request["layer"],
        geometry_name=GEOMETRY,
        geometry_type=request["geometry_type"],
        crs=f"EPSG:{request['epsg']}",
        dataset_options=request["dataset_options"],
        layer_options=layer_options,
    )


def _finer_than_gdal(source: Any, name: str) -> bool:
    """Whether a column of times has microseconds, which GDAL would cut: both formats then have it as text."""
    kind = source.schema_arrow.field(name).type
    if not pa.types.is_timestamp(kind) or kind.unit not in ("us", "ns"):
        return False
    step = 1000 if kind.unit == "us" else 1_000_000
    return any(
        value % step
        for batch in source.iter_batches(BATCH_ROWS, columns=[name])
        for value in batch.column(0).cast(pa.int64()).to_pylist()
        if value is not None
    )


def _fit(batch: Any, schema: Any, wrap: bool, box: str) -> Any:
    """The batch as it is written: times that GDAL would cut as text, and what lies beyond 180 degrees moved."""
    arrays = []
    for field in schema:
        column = batch.column(field.name)
        if field.type != column.type:
            column = pa.array([None if v is None else _iso(v) for v in column.to_pylist()], pa.string())
        arrays.append(column)
    if wrap:
        at = schema.get_field_index(GEOMETRY)
        arrays[at] = _on_both_sides(arrays[at], batch.column(box))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _iso(time: Any) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _on_both_sides(geometry: Any, boxes: Any) -> Any:
    """The geometries, those cut at 180 degrees that lie beyond it: the tiles of another world are never drawn."""
    edges = boxes.to_pylist()
    beyond = [at for at, edge in enumerate(edges) if edge and (edge["xmin"] < -180 or edge["xmax"] > 180)]
    if not beyond:
        return geometry
    values = geometry.to_pylist()
    for at in beyond:
        shape = shapely.from_wkb(values[at])
        parts = []
        for worlds in (-1, 0, 1):
            seen = shapely.intersection(shape, shapely.box(-180 + 360 * worlds, -90, 180 + 360 * worlds, 90))
            if not shapely.is_empty(seen):
                parts.append(shapely.transform(seen, lambda p, worlds=worlds: p - [360 * worlds, 0]))
        values[at] = shapely.to_wkb(shapely.union_all(parts)) if parts else values[at]
    return pa.array(values, pa.binary())


if __name__ == "__main__":
    main(lambda: (write, {}))
