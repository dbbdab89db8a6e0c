"""Exporting a table to GeoParquet 1.1 with zstd and a bbox covering: ours, in Hilbert order, and geopandas."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.spatial import server
from benchmarks.spatial.load import RUN_ID, TABLE, environment
from benchmarks.spatial.processes import Run, call
from terrane.postgres import PostgresResource

OUTPUT = "parcels"


def name_output(postgres: PostgresResource) -> None:
    """Lets what was loaded be a table that a dataset publishes."""
    from terrane_spatial.runs import run_schema

    with run_schema.connect(postgres, RUN_ID) as connection:
        connection.execute(f"alter table {TABLE} rename to out_{OUTPUT}".encode())


def ours(postgres: PostgresResource, path: Path) -> Run:
    """`write_geoparquet`, as a step calls it: bbox rounded outwards, rows along a Hilbert curve."""
    server.settle(postgres)
    return call("export:ours_inside", environment(postgres), path=str(path))


def ours_inside(path: str) -> dict[str, Any]:
    from terrane_spatial.publishing.postgis_export import write_geoparquet

    begun = time.perf_counter()
    written = write_geoparquet(PostgresResource.from_process("BENCH"), RUN_ID, OUTPUT, Path(path))
    return {"seconds": time.perf_counter() - begun, "rows": written.rows}


def geopandas(postgres: PostgresResource, path: Path) -> Run:
    """`read_postgis`, then `to_parquet` with the same compression, row groups and covering; rows as they come."""
    server.settle(postgres)
    return call("export:geopandas_inside", environment(postgres), path=str(path))


def geopandas_inside(path: str) -> dict[str, Any]:
    import geopandas as gpd
    import sqlalchemy

    from terrane_spatial.publishing.geoparquet import ROW_GROUP_ROWS
    from terrane_spatial.runs.run_schema import schema_of

    postgres = PostgresResource.from_process("BENCH")
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=postgres.connect)
    begun = time.perf_counter()
    frame = gpd.read_postgis(f'select * from "{schema_of(RUN_ID)}"."out_{OUTPUT}"', engine, geom_col="geometry")  # noqa: S608
    frame.to_parquet(
        path, compression="zstd", write_covering_bbox=True, row_group_size=ROW_GROUP_ROWS, schema_version="1.1.0"
    )
    return {"seconds": time.perf_counter() - begun, "rows": len(frame)}
