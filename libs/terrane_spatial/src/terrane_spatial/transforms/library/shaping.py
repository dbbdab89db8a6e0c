"""Steps that change geometries, each row on its own: reproject, clip, simplify, buffer, subdivide.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, LiteralString

from pydantic import Field, model_validator

from terrane_spatial.transforms.library.seam import CAREFUL, CUT, ON_BOTH_SIDES, TRY_TRANSFORM
from terrane_spatial.transforms.step import Positive, Relation, Srid, Step, TableName, columns_of

if TYPE_CHECKING:
    from psycopg.sql import Composable

WGS84 = 4326
Coordinate = Annotated[float, Field(allow_inf_nan=False)]


# In degrees, what crosses 180 of them seems to be as wide as the world, and what came from degrees is so already.
IS_WIDE = """
    st_xmax(brought.geometry) - st_xmin(brought.geometry) between 180 and 360
    and st_xmax(t.geometry) - st_xmin(t.geometry) > 360
"""
CUT_ITSELF = "crossed itself where 180 degrees cut it"


class Reproject(Step):
    """Brings geometries into another reference system, by default the one that is published, longitude and latitude.

    Rows outside of where that system is defined are dropped; what crosses 180 degrees is cut there.

    Attributes:
        to: the EPSG number of the system.
    """

    kind = "reproject"
    to: Srid = WGS84

    def query(self, table: Relation, other: Relation | None) -> Composable:
        return self._query(table, "st_transform")

    def functions(self) -> Sequence[str]:
        return CAREFUL, CUT

    def careful_query(self, table: Relation, other: Relation | None) -> Composable:
        """Row by row, for a table with a geometry that PROJ has no place for: PostGIS fails the statement for one."""
        return self._query(table, TRY_TRANSFORM)

    def _query(self, table: Relation, function: LiteralString) -> Composable:
        from psycopg import sql

        return sql.SQL(
            """
            select {columns} moved.geometry::geometry(Geometry, {to}) as geometry,
                case when judged.is_outside then 'dropped' when judged.is_mended then 'repaired' end as _outcome,
                case when judged.is_outside then {outside} else {mended} end as _reason, 1::bigint as _rows
            from {table} as t
            cross join lateral (select {function}(t.geometry, {to}) as geometry offset 0) as brought
            cross join lateral (select {is_wide} as is_wide offset 0) as seen
            cross join lateral (
                select case when seen.is_wide then {on_both_sides}(t.geometry, brought.geometry)
                    else brought.geometry end as geometry
                offset 0
            ) as moved
            cross join lateral (
                select moved.geometry is null and t.geometry is not null
                    or not (
                        st_xmin(moved.geometry) > '-infinity' and st_xmax(moved.geometry) < 'infinity'
                        and st_ymin(moved.geometry) > '-infinity' and st_ymax(moved.geometry) < 'infinity'
                    ) as is_outside,
                    case when seen.is_wide then not moved.geometry = brought.geometry and not st_isvalid(t.geometry)
                    end as is_mended
                offset 0
            ) as judged
            """
        ).format(
            columns=columns_of(table),
            table=sql.Identifier(table.name),
            function=sql.SQL(function),
            to=sql.Literal(self.to),
            is_wide=sql.SQL(IS_WIDE if self.to == WGS84 else "false"),
            on_both_sides=sql.SQL(ON_BOTH_SIDES),
            outside=sql.Literal(f"outside of EPSG:{self.to}"),
            mended=sql.Literal(CUT_ITSELF),
        )


class Clip(Step):
    """Cuts geometries at bounds, or at the outline of another table, and drops what lies outside.

    A geometry stays of its kind, and a multi-geometry one.

    Attributes:
        bounds: xmin, ymin, xmax, ymax in the table's units.
        to: a table of polygons, in any reference system.
    """

    kind = "clip"
    bounds: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = Field(default=None, strict=False)
    to: TableName | None = None

    @model_validator(mode="after")
    def _one_mask(self) -> Clip:
        if (self.bounds is None) == (self.to is None):
            raise ValueError("bounds: expected either bounds or to")
        if self.bounds and not (self.bounds[0] < self.bounds[2] and self.bounds[1] < self.bounds[3]):
            raise ValueError("bounds: expected xmin, ymin, xmax, ymax, the first two below the last two")
        return self

    def others(self) -> Sequence[str]:
        return (self.to,) if self.to else ()

    def same_system(self) -> bool:
        return False

    def query(self, table: Relation, other: Relation | None) -> Composable:
        from psycopg import sql

        srid = sql.Literal(table.srid)
        if other:
            mask = sql.SQL("st_transform(st_union(o.geometry), {}) as geometry from {} as o").format(
                srid, sql.Identifier(other.name)
            )
        else:
            edges = sql.SQL(", ").join(sql.Literal(edge) for edge in self.bounds or ())
            mask = sql.SQL("st_makeenvelope({}, {}) as geometry").format(edges, srid)
        name = self.to or "the bounds"
        return sql.SQL(
            """
            select {columns} cut.geometry::geometry(Geometry, {srid}) as geometry,
                case when cut.is_outside then 'dropped' when not cut.is_inside then 'repaired' end as _outcome,
                case
                    when t.geometry is null then 'no geometry' when cut.is_outside then {outside} else {edge}
                end as _reason,
                1::bigint as _rows
            from (select {mask} offset 0) as mask
            cross join {table} as t
            cross join lateral (select st_covers(mask.geometry, t.geometry) as is_inside offset 0) as compared
            cross join lateral (
                select
                    case
                        when compared.is_inside then t.geometry
                        else st_collectionextract(
                            st_intersection(t.geometry, mask.geometry), st_dimension(t.geometry) + 1
                        )
                    end as geometry
                offset 0
            ) as kept
            cross join lateral (
                select
                    case when st_geometrytype(t.geometry) like 'ST\\_Multi%' then st_multi(kept.geometry)
                        else kept.geometry end as geometry,
                    compared.is_inside, coalesce(st_isempty(kept.geometry), true) as is_outside
                offset 0
            ) as cut
            """
        ).format(
            columns=columns_of(table),
            table=sql.Identifier(table.name),
            srid=srid,
            mask=mask,
            outside=sql.Literal(f"outside of {name}"),
            edge=sql.Literal(f"cut at {name}"),
        )


class Simplify(Step):
    """Leaves out vertices.

    Attributes:
        tolerance: how far, in the table's units, an outline may move.
        preserve_topology: keep every geometry valid and in being; without it, what is smaller than the tolerance goes.
    """

    kind = "simplify"
    tolerance: Positive
    preserve_topology: bool = True

    def query(self, table: Relation, other: Relation | None) -> Composable:
        from psycopg import sql

        function = "st_simplifypreservetopology" if self.preserve_topology else "st_simplify"
        return sql.SQL(
            """
            select {columns} less.geometry,
                case when less.is_gone then 'dropped'
                    when st_npoints(less.geometry) < st_npoints(t.geometry) then 'simplified' end as _outcome,
                case when less.is_gone then 'smaller than the tolerance' else 'fewer vertices' end as _reason,
                1::bigint as _rows
            from {table} as t
            cross join lateral (select {function}(t.geometry, {tolerance}) as geometry offset 0) as simple
            cross join lateral (
                select coalesce(simple.geometry, t.geometry)::geometry(Geometry, {srid}) as geometry,
                    not st_isempty(t.geometry) and coalesce(st_isempty(simple.geometry), true) as is_gone
                offset 0
            ) as less
            """
        ).format(
            columns=columns_of(table),
            table=sql.Identifier(table.name),
            function=sql.SQL(function),
            tolerance=sql.Literal(self.tolerance),
            srid=sql.Literal(table.srid),
        )


class Buffer(Step):
    """Makes of every geometry what is within a distance of it; a negative distance shrinks polygons.

    Attributes:
        distance: in metres, or in the table's units.
        unit: `metres`, measured on the ellipsoid, or `units`.
        quadrant_segments: of how many lines a quarter of a circle is made.
    """

    kind = "buffer"
    distance: Coordinate
    unit: Literal["metres", "units"] = "metres"
    quadrant_segments: Annotated[int, Field(ge=1, le=256)] = 8

    def query(self, table: Relation, other: Relation | None) -> Composable:
        from psycopg import sql

        on_ellipsoid = "st_buffer(st_transform(t.geometry, {wgs84})::geography, {distance}, {quadrant})::geometry"
        template = (
            f"st_transform({on_ellipsoid}, {{srid}})"
            if self.unit == "metres"
            else "st_buffer(t.geometry, {distance}, {quadrant})"
        )
        srid = sql.Literal(table.srid)
        wide = sql.SQL(template).format(
            distance=sql.Literal(self.distance),
            quadrant=sql.Literal(f"quad_segs={self.quadrant_segments}"),
            wgs84=sql.Literal(WGS84),
            srid=srid,
        )
        return sql.SQL(
            """
            select {columns} wide.geometry::geometry(Geometry, {srid}) as geometry,
                case when coalesce(st_isempty(wide.geometry), true) then 'dropped' end as _outcome,
                case when coalesce(st_isempty(t.geometry), true) then 'no geometry' else 'nothing left of it' end
                    as _reason,
                1::bigint as _rows
            from {table} as t
            cross join lateral (select {wide} as geometry offset 0) as wide
            """
        ).format(columns=columns_of(table), table=sql.Identifier(table.name), srid=srid, wide=wide)


class Subdivide(Step):
    """Cuts large geometries into parts, each a row with the columns of the whole.

    Attributes:
        max_vertices: that a part may have.
    """

    kind = "subdivide"
    max_vertices: Annotated[int, Field(ge=8, le=100_000)] = 256

    def query(self, table: Relation, other: Relation | None) -> Composable:
        from psycopg import sql

        return sql.SQL(
            """
            select {columns} coalesce(part.geometry, t.geometry)::geometry(Geometry, {srid}) as geometry,
                case when part.number > 1 then 'made' end as _outcome,
                'a part of a larger geometry' as _reason, 1::bigint as _rows
            from {table} as t
            left join lateral (
                select row_number() over () as number, piece as geometry
                from st_subdivide(t.geometry, {vertices}) as piece
            ) as part on true
            """
        ).format(
            columns=columns_of(table),
            table=sql.Identifier(table.name),
            srid=sql.Literal(table.srid),
            vertices=sql.Literal(self.max_vertices),
        )
