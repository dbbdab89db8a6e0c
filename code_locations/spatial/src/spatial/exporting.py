"""Writing the tables a dataset publishes: PostGIS streams Arrow through ADBC, in Hilbert order, into GeoParquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spatial import geoparquet, run_space
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Cursor

OUT_PREFIX = "out_"
EPSG = 4326


def write_geoparquet(postgres: PostgresResource, run_id: str, output: str, path: Path) -> geoparquet.Written:
    """Writes the run's table `out_<output>` in the order of its geometries along a Hilbert curve."""
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(postgres.uri(), autocommit=True) as connection, connection.cursor() as cursor:
        join_run(cursor, run_id)
        cursor.execute(_query(_columns(cursor, run_space.schema_of(run_id), OUT_PREFIX + output), OUT_PREFIX + output))
        reader = cursor.fetch_record_batch()
        return geoparquet.write(reader, reader.schema, path, EPSG)


def join_run(cursor: Cursor, run_id: str) -> None:
    """Makes the cursor's connection one of the run's: in its schema, and holding its lock."""
    for statement in run_space.session_statements(run_id):
        cursor.execute(statement)
        if statement.startswith("select"):
            cursor.fetchall()


def _columns(cursor: Cursor, schema: str, table: str) -> list[str]:
    table_id = f'\'"{schema}"."{table}"\'::regclass'
    where = f"attrelid = {table_id} and attnum > 0 and not attisdropped"
    cursor.execute(f"select attname from pg_attribute where {where} order by attnum")  # noqa: S608
    names = [str(name) for (name,) in cursor.fetchall()]
    if geoparquet.GEOMETRY not in names:
        raise ValueError(f"table {table} has no column {geoparquet.GEOMETRY}; the dataset's SQL must make one")
    return names


def _query(columns: list[str], table: str) -> str:
    plain = ", ".join(f'"{name}"' for name in columns if name != geoparquet.GEOMETRY)
    functions = ("st_xmin", "st_ymin", "st_xmax", "st_ymax")
    edges = ", ".join(
        f"{function}(geometry)::double precision as {column}"
        for function, column in zip(functions, geoparquet.EDGE_COLUMNS, strict=True)
    )
    return f'select {plain}, st_asbinary(geometry) as geometry, {edges} from "{table}" order by "{table}".geometry'  # noqa: S608
