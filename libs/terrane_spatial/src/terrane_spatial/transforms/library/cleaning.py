"""Steps that make rows fit for use: choose columns, demand values, repair geometries, leave duplicates out.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, LiteralString

from pydantic import BaseModel, ConfigDict, Field, model_validator

from terrane_spatial.transforms.step import ColumnName, Columns, Relation, Step, columns_of

if TYPE_CHECKING:
    from psycopg.sql import Composable

TEXT_TYPES = ("text", "character varying")
EXTRACTED = {"points": 1, "lines": 2, "polygons": 3}
SHAPED: dict[str, LiteralString] = {
    "any": "mended.geometry",
    "multi": "st_multi(mended.geometry)",
    "one": "coalesce(st_geometryn(mended.geometry, 1), mended.geometry)",
}
SURFACES = ("ST_PolyhedralSurface", "ST_Tin", "ST_Triangle")


class Cast(BaseModel):
    """A column under another type; a value that has no such form fails the run."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=False)

    source: ColumnName = Field(alias="from")
    type: Literal["text", "bigint", "double precision", "boolean", "date", "timestamp with time zone"]


class Select(Step):
    """Keeps the columns that are named, under the names they are given.

    Attributes:
        columns: new name to old name, or to `{from: old name, type: ...}`.
        empty: texts that mean no value; all text is trimmed before it is compared.
    """

    kind = "select"
    columns: Annotated[dict[ColumnName, ColumnName | Cast], Field(min_length=1)]
    empty: tuple[str, ...] = Field(default=("",), strict=False)

    def columns_read(self) -> Mapping[str, Sequence[str]]:
        return {"columns": [self._source(chosen) for chosen in self.columns.values()]}

    def columns_made(self, columns: Columns) -> Columns:
        return frozenset(self.columns)

    def query(self, table: Relation, other: Relation | None) -> Composable:
        from psycopg import sql

        chosen = sql.SQL(", ").join(
            sql.SQL("{} as {}").format(self._value(table, source), sql.Identifier(name))
            for name, source in self.columns.items()
        )
        return sql.SQL(
            "select {}, t.geometry, null::text as _outcome, null::text as _reason, 1::bigint as _rows from {} as t"
        ).format(chosen, sql.Identifier(table.name))

    def _source(self, chosen: str | Cast) -> str:
        return chosen if isinstance(chosen, str) else chosen.source

    def _value(self, table: Relation, chosen: str | Cast) -> Composable:
        from psycopg import sql

        source = self._source(chosen)
        value: Any = sql.Identifier("t", source)
        if table.columns[source] in TEXT_TYPES:
            value = sql.SQL("case when trim({0}) <> all ({1}::text[]) then trim({0}) end").format(
                value, sql.Literal(list(self.empty))
            )
        kind = sql.SQL(chosen.type) if isinstance(chosen, Cast) else None
        return sql.SQL("({})::{}").format(value, kind) if kind else value


class Require(Step):
    """Drops rows that lack a value, or a geometry.

    Attributes:
        columns: that must not be null.
        geometry: whether there must be one that is not empty.
    """

    kind = "require"
    columns: tuple[ColumnName, ...] = Field(default=(), strict=False)
    geometry: bool = True

    def columns_read(self) -> Mapping[str, Sequence[str]]:
        return {"columns": self.columns}

    def query(self, table: Relation, other: Relation | None) -> Composable:
        from psycopg import sql

        cases: list[Composable] = [
            sql.SQL("when {} is null then {}").format(sql.Identifier("t", name), sql.Literal(f"no {name}"))
            for name in self.columns
        ]
        if self.geometry:
            cases.insert(0, sql.SQL("when coalesce(st_isempty(t.geometry), true) then 'no geometry'"))
        return sql.SQL(
            """
            select {columns} t.geometry,
                case when judged.fault is not null then 'dropped' end as _outcome,
                judged.fault as _reason, 1::bigint as _rows
            from {table} as t
            cross join lateral (select case when false then '' {cases} end as fault offset 0) as judged
            """
        ).format(columns=columns_of(table), table=sql.Identifier(table.name), cases=sql.SQL(" ").join(cases))


class Repair(Step):
    """Makes geometries valid, and of the simple types: curves become lines, self-intersections go.

    A geometry stays of its kind: what repair leaves of a polygon as lines or points is left out. Rows without geometry,
    and surfaces in three dimensions, which GeoParquet has no type for, are dropped.

    Attributes:
        keep: leave the other kinds out, of collections too, and drop rows of which nothing remains.
        parts: `multi` makes every geometry a multi-geometry; `one` takes its only part, and drops those of several.
    """

    kind = "repair"
    keep: Literal["points", "lines", "polygons"] | None = None
    parts: Literal["any", "multi", "one"] = "any"

    def query(self, table: Relation, other: Relation | None) -> Composable:
        from psycopg import sql

        extracted = sql.Literal(EXTRACTED[self.keep]) if self.keep else sql.SQL("st_dimension(straight.geometry) + 1")
        mixed = "false" if self.keep else "st_geometrytype(straight.geometry) = 'ST_GeometryCollection'"
        lacking = f"no {self.keep} in it" if self.keep else "nothing left of it"
        # OFFSET 0 keeps the planner from merging the sub-queries, which would do their work once for every use.
        return sql.SQL(
            """
            select {columns} {geometry}::geometry(Geometry, {srid}) as geometry,
                case when judged.fault is not null then 'dropped' when judged.defect is not null then 'repaired' end
                    as _outcome,
                coalesce(judged.fault, judged.defect) as _reason, 1::bigint as _rows
            from {table} as t
            cross join lateral (select st_geometrytype(t.geometry) = any ({surfaces}) as is_surface offset 0) as kind
            cross join lateral (
                select case when not kind.is_surface then st_curvetoline(t.geometry) end as geometry offset 0
            ) as straight
            cross join lateral (select st_isvalid(straight.geometry) as is_valid offset 0) as checked
            cross join lateral (
                select case when checked.is_valid then straight.geometry else st_makevalid(straight.geometry) end
                    as geometry
                offset 0
            ) as valid
            cross join lateral (
                select case
                    when {mixed} then valid.geometry else st_collectionextract(valid.geometry, {extracted})
                end as geometry
                offset 0
            ) as mended
            cross join lateral (
                select
                    case
                        when kind.is_surface then 'a surface in three dimensions'
                        when coalesce(st_isempty(t.geometry), true) then 'no geometry'
                        when st_isempty(mended.geometry) then {lacking}
                        when {is_one} and st_numgeometries(mended.geometry) > 1 then 'several parts'
                    end as fault,
                    case
                        when not checked.is_valid then 'invalid geometry'
                        when st_hasarc(t.geometry) then 'curves made lines'
                    end as defect
                offset 0
            ) as judged
            """
        ).format(
            columns=columns_of(table),
            table=sql.Identifier(table.name),
            geometry=sql.SQL(SHAPED[self.parts]),
            is_one=sql.Literal(self.parts == "one"),
            srid=sql.Literal(table.srid),
            surfaces=sql.Literal(list(SURFACES)),
            mixed=sql.SQL(mixed),
            extracted=extracted,
            lacking=sql.Literal(lacking),
        )


class Dedupe(Step):
    """Keeps one of the rows that are the same.

    Which one depends on their content alone: the first by `order_by`, then by the other columns.

    Attributes:
        by: columns that are the same.
        geometry: whether the geometry must be the same, whatever vertex its rings begin with.
        tolerance: how far apart, in the table's units, vertices may be that count as the same.
        order_by: which of them to keep.
    """

    kind = "dedupe"
    by: tuple[ColumnName, ...] = Field(default=(), strict=False)
    geometry: bool = True
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    order_by: tuple[ColumnName, ...] = Field(default=(), strict=False)

    SAME: ClassVar[str] = "the same "

    @model_validator(mode="after")
    def _something_is_compared(self) -> Dedupe:
        if not self.by and not self.geometry:
            raise ValueError("by: expected columns, where the geometry is not compared")
        return self

    def columns_read(self) -> Mapping[str, Sequence[str]]:
        return {"by": self.by, "order_by": self.order_by}

    def query(self, table: Relation, other: Relation | None) -> Composable:
        from psycopg import sql

        same: list[Composable] = [sql.Identifier("t", name) for name in self.by]
        if self.geometry:
            shape = sql.SQL("st_asbinary(st_normalize({}))").format(
                sql.SQL("st_snaptogrid(t.geometry, {})").format(sql.Literal(self.tolerance))
                if self.tolerance
                else sql.SQL("t.geometry")
            )
            same.append(shape)
        rest = [name for name in table.columns if name not in (*self.by, *self.order_by)]
        order: list[Composable] = [sql.Identifier("t", name) for name in self.order_by]
        order.append(sql.SQL("row({})::text").format(sql.SQL(", ").join(sql.Identifier("t", name) for name in rest)))
        order.append(sql.SQL("st_asbinary(t.geometry)"))
        told = self.SAME + ", ".join([*self.by, *(["geometry"] if self.geometry else [])])
        return sql.SQL(
            """
            select {columns} t.geometry, case when t._number > 1 then 'duplicate' end as _outcome,
                {told} as _reason, 1::bigint as _rows
            from (
                select t.*, row_number() over (partition by {same} order by {order}) as _number from {table} as t
            ) as t
            """
        ).format(
            columns=columns_of(table),
            table=sql.Identifier(table.name),
            same=sql.SQL(", ").join(same),
            order=sql.SQL(", ").join(order),
            told=sql.Literal(told),
        )
