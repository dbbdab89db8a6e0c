"""Writing the tables a dataset publishes: PostGIS streams Arrow through ADBC, in Hilbert order, into GeoParquet.

The driver is imported where it is used: definitions import this module, and start 0.2 s sooner without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from terrane.ahead import read_ahead
from terrane.postgres import PostgresResource
from terrane_spatial.publishing import geoparquet
from terrane_spatial.runs import run_schema

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Cursor

OUT_PREFIX = "out_"
EPSG = 4326
# With the server's 4 MB the sort of a million polygons goes to disk, and takes a quarter longer.
SORT_MEMORY = "64MB"
BATCH_BYTES = 4 << 20
BOX = "_box"


def write_geoparquet(postgres: PostgresResource, run_id: str, output: str, path: Path) -> geoparquet.Written:
    """Writes the run's table `out_<output>` in the order of its geometries along a Hilbert curve."""
    from adbc_driver_postgresql import StatementOptions, dbapi

    options = {StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)}
    with (
        dbapi.connect(postgres.uri(), autocommit=True) as connection,
        connection.cursor(adbc_stmt_kwargs=options) as cursor,
    ):
        join_run(cursor, run_id)
        cursor.execute(f"set work_mem = '{SORT_MEMORY}'")
        cursor.execute(_query(_columns(cursor, run_schema.schema_of(run_id), OUT_PREFIX + output), OUT_PREFIX + output))
        reader = cursor.fetch_record_batch()
        return geoparquet.write(read_ahead(iter(reader)), reader.schema, path, EPSG)


def join_run(cursor: Cursor, run_id: str) -> None:
    """Makes the cursor's connection one of the run's: in its schema, and holding its lock."""
    for statement in run_schema.session_statements(run_id):
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
    """The table's rows in Hilbert order, with WKB and its bounds.

    The innermost query sorts rows as they are stored; made before, WKB would be sorted along with the geometry. Each
    geometry's box is computed once, which `offset 0` keeps the planner from spreading to its four uses.
    """
    plain = "".join(f'"{name}", ' for name in columns if name != geoparquet.GEOMETRY)
    edges = ", ".join(f"st_{edge}({BOX}) as _{edge}" for edge in geoparquet.EDGES)
    ordered = f'select * from "{table}" order by geometry'  # noqa: S608
    boxed = f"select *, box3d(geometry) as {BOX} from ({ordered}) ordered offset 0"  # noqa: S608
    return f"select {plain}st_asbinary(geometry) as geometry, {edges} from ({boxed}) boxed"  # noqa: S608
