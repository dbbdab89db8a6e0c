"""The process that lets GDAL write one file: started with a clean environment and limits, it copies a GeoParquet file.

Its input is one JSON object: source, target, driver, layer, geometry type, dataset and layer options, EPSG number,
limits. What it cannot do it says in the last line of its error output.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio

from terrane_spatial.sandbox.protocol import apply_limits

BATCH_ROWS = 8192
GEOMETRY, BBOX = "geometry", "bbox"
NO_INDEX = "NULL geometry not supported with spatial index"


def main() -> int:
    request = json.load(sys.stdin)
    apply_limits(request["limits"])
    try:
        _copy(request, request["layer_options"])
    except Exception as error:
        if NO_INDEX not in str(error):
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 1
        _copy(request, {**request["layer_options"], "SPATIAL_INDEX": "NO"})
    return 0


def _copy(request: dict[str, Any], layer_options: dict[str, str]) -> None:
    source = pq.ParquetFile(request["source"])
    names = [name for name in source.schema_arrow.names if name != BBOX]
    schema = pa.schema([source.schema_arrow.field(name) for name in names])
    batches = source.iter_batches(BATCH_ROWS, columns=names)
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


if __name__ == "__main__":
    sys.exit(main())
