"""What a file loads as, compared with what Debian's ogr2ogr makes of it: rows, geometries, values.

The two read by different versions of GDAL, so a difference is a question, not yet a fault.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import sql

from terrane_spatial.files.formats import of_path
from terrane_spatial.identifiers import launder_all
from terrane_spatial.loading.table_loader import GEOMETRY, Loaded

if TYPE_CHECKING:
    import psycopg

SAME, NOT_COMPARED = "same", "not compared"
OTHER, ROW_NUMBER = "public.other", "row_number_of_ogr2ogr"
TIMEOUT_S = 120
NUMBERS = ("int", "double", "real", "numeric")
# Empty geometries are none to some versions; of a file that was brought to EPSG:4326 only the shape of shapes is left.
SHAPES = "case when not st_isempty(geometry) then md5(st_asbinary(st_force2d(st_curvetoline(geometry)))) end"
SIZES = "case when not st_isempty(geometry) then st_npoints(geometry)::text end"

Values = Counter[str | None]


def available() -> bool:
    return shutil.which("ogr2ogr") is not None


def compare(connection: psycopg.Connection, path: Path, loaded: Loaded) -> str:
    """SAME, or what differs, or NOT_COMPARED where ogr2ogr made no table of it."""
    if not _load_with_ogr2ogr(connection, path, loaded):
        return NOT_COMPARED
    table = f'"{loaded.table}"'
    rejected = sum(loaded.facts.get("rejected", {}).values())
    if _count(connection, OTHER) != _count(connection, table) + rejected:
        return f"{_count(connection, OTHER)} rows, ours {_count(connection, table)} and {rejected} rejected"
    shape = SIZES if "brought to EPSG:4326 from" in loaded.facts else SHAPES
    if _not_in(connection, table, OTHER, shape, shape):
        return "geometries"
    columns = _differing_columns(connection, loaded)
    return f"columns {', '.join(columns)}" if columns else SAME


def _load_with_ogr2ogr(connection: psycopg.Connection, path: Path, loaded: Loaded) -> bool:
    connection.execute(f"drop table if exists {OTHER}".encode())
    info, kind = connection.info, of_path(path)
    if not kind.driver:
        return False
    target = f"PG:host={info.host} port={info.port} user={info.user} dbname={info.dbname} active_schema=public"
    names = {"GEOMETRY_NAME": GEOMETRY, "FID": ROW_NUMBER, "SPATIAL_INDEX": "NONE", "LAUNDER": "NO"}
    layer = [] if kind.driver == "CSV" else [loaded.facts["layer"]]
    flags = [f for name, value in names.items() for f in ("-lco", f"{name}={value}")]
    flags += [f for name, value in kind.options for f in ("-oo", f"{name}={value}")]
    flags += ["-nln", OTHER.split(".")[1], "-nlt", "GEOMETRY", "-a_srs", f"EPSG:{loaded.srid}"]
    environment = {**os.environ, "PGPASSWORD": info.password, "PG_USE_COPY": "YES"}
    if encoding := loaded.facts.get("text read as"):
        environment["SHAPE_ENCODING"] = encoding
    command = ["ogr2ogr", "-f", "PostgreSQL", target, str(path), *layer, *flags]
    try:
        subprocess.run(command, env=environment, capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return False
    return connection.execute(f"select to_regclass('{OTHER}') is not null".encode()).fetchone() == (True,)


def _differing_columns(connection: psycopg.Connection, loaded: Loaded) -> list[str]:
    ours, theirs = _types(connection, f'"{loaded.table}"'), _types(connection, OTHER)
    named = {ours_name: name for name, ours_name in launder_all(theirs, {GEOMETRY}).items()}
    differing = []
    # A later version knows more columns, and we write lists as JSON.
    for name in (name for name in ours if name in named and not theirs[named[name]].endswith("[]")):
        other = named[name]
        numeric = all(any(part in kind for part in NUMBERS) for kind in (ours[name], theirs[other]))
        cast = "round({}::numeric, 6)::text" if numeric else "{}::text"
        mine, its = (cast.format(sql.Identifier(column).as_string()) for column in (name, other))
        if _not_in(connection, f'"{loaded.table}"', OTHER, mine, its):
            differing.append(f"{name} ({ours[name]}, {theirs[other]})")
    return differing


def _types(connection: psycopg.Connection, table: str) -> dict[str, str]:
    rows = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        f" where attrelid = '{table}'::regclass and attnum > 0 order by attnum".encode()
    ).fetchall()
    return {name: kind for name, kind in rows if name not in (GEOMETRY, ROW_NUMBER)}


def _not_in(connection: psycopg.Connection, table: str, other: str, ours: str, theirs: str) -> Values:
    """What the table's values have that the other's have not; rejected rows are allowed to be missing."""
    return _values(connection, table, ours) - _values(connection, other, theirs)


def _values(connection: psycopg.Connection, table: str, expression: str) -> Values:
    return Counter(value for (value,) in connection.execute(f"select {expression} from {table}".encode()))


def _count(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}".encode()).fetchone()
    return row[0] if row else 0
