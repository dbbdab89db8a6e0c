"""A table that was copied, made what it must be: curves drawn, coordinates in a numbered system, and checked for sense.

What was met on the way becomes facts of the load, which the run's report and the commit carry.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.reading.layer import Met
from terrane_spatial.reading.reference_system import Placed

if TYPE_CHECKING:
    import psycopg

    from terrane_spatial.reading.layer import Layer

SAMPLE_ROWS = 10_000
# A degree beyond the world is a coast drawn coarsely, not an error of order.
MARGIN_DEG = 1.0
REJECTED = "rejected"

CURVES = """
update {table} set geometry = st_force2d(st_curvetoline(geometry))
where st_hasarc(geometry) or st_ndims(geometry) > 2
"""
OUTSIDE = """
with sample as (select geometry as g from {table} where not st_isempty(geometry) limit {rows})
select count(*), count(*) filter (where st_xmin(g) < {west} or st_xmax(g) > {east}
                                     or st_ymin(g) < {south} or st_ymax(g) > {north})
from sample
"""


def mend_and_check(connection: psycopg.Connection, name: str, table: str, met: Met, placed: Placed) -> dict[str, Any]:
    """Mends the table in place; returns what that adds to the facts.

    Raises BatchRejectedError when its coordinates are not what its reference system says they are.
    """
    from psycopg import sql

    facts: dict[str, Any] = {}
    of_table = sql.Identifier(table)
    if met.unfinished or "GeometryCollection" in met.types:
        drawn = connection.execute(sql.SQL(CURVES).format(table=of_table)).rowcount
        facts.update({"curves drawn as lines": drawn} if drawn else {})
    facts.update(other_systems(met, placed))
    facts.update(_outside(connection, name, of_table, placed.srid))
    for reason, rows in met.rejected.items():
        connection.execute(
            "insert into _tally (table_name, outcome, reason, rows) values (%s, %s, %s, %s)",
            [table, REJECTED, reason, rows],
        )
    return facts


def layer_facts(layer: Layer, met: Met) -> dict[str, Any]:
    """What the layer says of itself that is not so, and what its geometries are."""
    facts: dict[str, Any] = {"layer": layer.layer, "driver": layer.driver, "geometry types": dict(met.types)}
    if layer.geometry_type not in (None, "Unknown", *met.types):
        facts["layer says its geometries are"] = layer.geometry_type
    if layer.features >= 0 and layer.features != met.rows:
        facts["layer says its features are"] = layer.features
    left_out = [*layer.left_out, *([layer.key] if layer.key_hidden and layer.key else [])]
    if left_out:
        facts["columns left out"] = left_out
    if layer.encoding and layer.encoding.upper() not in ("UTF-8", "UTF8"):
        facts["text read as"] = layer.encoding
    if layer.brought_from:
        facts["brought to EPSG:4326 from"] = layer.brought_from
    if met.rejected:
        facts["rejected"] = dict(met.rejected)
    if met.warnings:
        facts["GDAL warned"] = dict(met.warnings)
    return {**facts, **layer.told, **met.counts, "confined to the file by": list(layer.confined) or "no kernel"}


def other_systems(met: Met, placed: Placed) -> dict[str, Any]:
    """The geometries that name another reference system than the one their layer is taken to be in."""
    others = {f"EPSG:{number}": rows for number, rows in met.systems.items() if number != str(placed.srid)}
    return {"geometries that say another reference system": others} if others else {}


def _outside(connection: psycopg.Connection, name: str, table: Any, srid: int) -> dict[str, Any]:
    """How many of the first rows are not on Earth; when most of them are not, the order or the system is wrong."""
    from psycopg import sql

    unit = connection.execute(
        "select srtext ~ '^(GEOGCS|GEOGCRS|GEODCRS)' and srtext ~* 'degree' from spatial_ref_sys where srid = %s",
        [srid],
    ).fetchone()
    if not unit or not unit[0]:
        return {}
    edges = {"west": -180, "east": 360, "south": -90, "north": 90}
    limits = {edge: sql.Literal(value + (MARGIN_DEG if value > 0 else -MARGIN_DEG)) for edge, value in edges.items()}
    query = sql.SQL(OUTSIDE).format(table=table, rows=sql.Literal(SAMPLE_ROWS), **limits)
    seen, outside = connection.execute(query).fetchone() or (0, 0)
    if outside * 2 > seen:
        raise BatchRejectedError(
            f"{name}: {outside} of its first {seen} geometries are not on Earth when their coordinates are longitude, "
            f"latitude in EPSG:{srid}; are they in another order, or in another reference system?"
        )
    return {f"not on Earth, of the first {seen}": outside} if outside else {}


# A row has to fit a page of 8 KiB; of values of such types it keeps 18 bytes where they go elsewhere.
MAX_ROW_BYTES, HEAD_BYTES, POINTER_BYTES = 8160, 24, 18
FIXED_BYTES = {"boolean": 1, "smallint": 2, "integer": 4, "real": 4, "date": 4}
ELSEWHERE = ("text", "bytea")


def require_narrow(name: str, types: Mapping[str, str]) -> None:
    """Refuses a table of which not even a row with the shortest texts would fit a page of Postgres."""
    numbers = [FIXED_BYTES.get(kind, 8) for kind in types.values() if kind not in ELSEWHERE]
    row = HEAD_BYTES + len(types) // 8 + sum(numbers) + POINTER_BYTES
    if row > MAX_ROW_BYTES:
        raise BatchRejectedError(
            f"{name}: its {len(types)} columns make rows of {row} bytes, and a row of Postgres has to fit "
            f"{MAX_ROW_BYTES} bytes: send fewer columns of numbers, or several files"
        )
