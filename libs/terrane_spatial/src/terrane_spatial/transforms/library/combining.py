"""Steps that bring rows together: dissolve, spatial_join, aggregate_to_grid.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from terrane_spatial.transforms.step import (
    NO_AGGREGATES,
    Aggregates,
    ColumnName,
    Columns,
    Positive,
    Relation,
    Step,
    TableName,
    aggregates_of,
    columns_in,
    columns_of,
    followed,
)

if TYPE_CHECKING:
    from psycopg.sql import Composable

PREDICATES = {
    "intersects": "st_intersects(t.geometry, o.geometry)",
    "within": "st_contains(o.geometry, t.geometry)",
    "contains": "st_contains(t.geometry, o.geometry)",
}


class Dissolve(Step):
    """Makes one row of all that have the same values, its geometry the union of theirs.

    Attributes:
        by: the columns that are the same; without any, one row is made of all.
        aggregates: further columns: name to `count`, or to `{sum|min|max|mean: column}`.
    """

    kind = "dissolve"
    by: tuple[ColumnName, ...] = Field(default=(), strict=False)
    aggregates: Aggregates = NO_AGGREGATES

    def columns_read(self) -> Mapping[str, Sequence[str]]:
        return {"by": self.by, "aggregates": columns_in(self.aggregates)}

    def columns_made(self, columns: Columns) -> Columns:
        return frozenset([*self.by, *self.aggregates])

    def query(self, table: Relation, other: Relation | None) -> Composable:
        from psycopg import sql

        by = [sql.Identifier("t", name) for name in self.by]
        return sql.SQL(
            """
            select {by} {aggregates} st_union(t.geometry)::geometry(Geometry, {srid}) as geometry,
                'merged' as _outcome, {reason} as _reason, count(*) - 1 as _rows
            from {table} as t
            group by {groups}
            having count(*) > 0
            """
        ).format(
            by=followed(by),
            aggregates=aggregates_of(self.aggregates, table),
            srid=sql.Literal(table.srid),
            reason=sql.Literal("dissolved into another" + (f" of the same {', '.join(self.by)}" if self.by else "")),
            table=sql.Identifier(table.name),
            groups=sql.SQL(", ").join(by) if by else sql.SQL("()"),
        )


class AggregateToGrid(Step):
    """Makes a row of every square cell that holds something; a row is in the cell of its centre.

    The cells have the columns `cell_x` and `cell_y`, counted from 0 at the origin, and the aggregates.

    Attributes:
        cell: the side of a cell in the table's units.
        origin: x and y of a corner of cell 0, 0.
        aggregates: name to `count`, or to `{sum|min|max|mean: column}`.
    """

    kind = "aggregate_to_grid"
    cell: Positive
    origin: tuple[float, float] = Field(default=(0.0, 0.0), strict=False)
    aggregates: Aggregates = Field(default_factory=lambda: {"rows": "count"})

    def columns_read(self) -> Mapping[str, Sequence[str]]:
        return {"aggregates": columns_in(self.aggregates)}

    def columns_made(self, columns: Columns) -> Columns:
        return frozenset(["cell_x", "cell_y", *self.aggregates])

    def query(self, table: Relation, other: Relation | None) -> Composable:
        from psycopg import sql

        nothing = followed(sql.SQL("null") for _ in self.aggregates)
        return sql.SQL(
            """
            select cell.x as cell_x, cell.y as cell_y, {aggregates}
                st_makeenvelope(
                    {x} + cell.x * {size}, {y} + cell.y * {size}, {x} + (cell.x + 1) * {size},
                    {y} + (cell.y + 1) * {size}, {srid}
                )::geometry(Geometry, {srid}) as geometry,
                'merged' as _outcome, 'in a cell with others' as _reason, count(*) - 1 as _rows
            from {table} as t
            cross join lateral (select st_centroid(t.geometry) as point offset 0) as centre
            cross join lateral (
                select floor((st_x(centre.point) - {x}) / {size})::bigint as x,
                    floor((st_y(centre.point) - {y}) / {size})::bigint as y
                offset 0
            ) as cell
            where not st_isempty(t.geometry)
            group by cell.x, cell.y
            union all
            select null, null, {nothing} null, 'dropped', 'no geometry', 1
            from {table} as t
            where coalesce(st_isempty(t.geometry), true)
            """
        ).format(
            aggregates=aggregates_of(self.aggregates, table),
            nothing=nothing,
            x=sql.Literal(self.origin[0]),
            y=sql.Literal(self.origin[1]),
            size=sql.Literal(self.cell),
            srid=sql.Literal(table.srid),
            table=sql.Identifier(table.name),
        )


class SpatialJoin(Step):
    """Gives rows what another table has where they are: columns of the row they match, or aggregates of all they match.

    With `columns`, the other table's rows are gone through one by one, each against the index of `table`: PostGIS then
    prepares a polygon once for all its points. With `aggregates` it is `table` that is gone through, likewise.

    Attributes:
        other: the other table, in the same reference system; in YAML `with`.
        match: `intersects`, `within` or `contains`, read from `table` to the other.
        distance: match also what is this near, in the table's units; the nearest is then the first.
        columns: new name to column of the other table.
        matches: of several matches, take the `first`, or make a row of each with `all`.
        order_by: columns of the other table that say which match is the first; after them, all its columns do.
        unmatched: `keep` rows without a match, with nulls, or `drop` them.
        aggregates: name to `count`, or to `{sum|min|max|mean: column of the other table}`.
    """

    kind = "spatial_join"
    other: TableName = Field(alias="with")
    match: Literal["intersects", "within", "contains"] = "intersects"
    distance: Positive | None = None
    columns: dict[ColumnName, ColumnName] = Field(default_factory=dict)
    matches: Literal["first", "all"] = "first"
    order_by: tuple[ColumnName, ...] = Field(default=(), strict=False)
    unmatched: Literal["keep", "drop"] = "keep"
    aggregates: Aggregates = NO_AGGREGATES

    @model_validator(mode="after")
    def _one_result(self) -> SpatialJoin:
        if bool(self.columns) == bool(self.aggregates):
            raise ValueError("columns: expected either columns or aggregates")
        if self.distance and self.match != "intersects":
            raise ValueError("distance: expected only with match intersects")
        if self.other == self.table:
            raise ValueError("with: expected another table")
        return self

    def others(self) -> Sequence[str]:
        return (self.other,)

    def columns_read_of_other(self) -> Mapping[str, Sequence[str]]:
        return {
            "columns": list(self.columns.values()),
            "order_by": self.order_by,
            "aggregates": columns_in(self.aggregates),
        }

    def columns_made(self, columns: Columns) -> Columns:
        return None if columns is None else columns | {*self.columns, *self.aggregates}

    def indexed(self) -> str | None:
        return self.table if self.columns else self.other

    def query(self, table: Relation, other: Relation | None) -> Composable:
        assert other
        return self._joined(table, other) if self.columns else self._aggregated(table, other)

    def _condition(self) -> Composable:
        from psycopg import sql

        if self.distance:
            return sql.SQL("st_dwithin(t.geometry, o.geometry, {})").format(sql.Literal(self.distance))
        return sql.SQL(PREDICATES[self.match])  # type: ignore[arg-type]

    def _aggregated(self, table: Relation, other: Relation) -> Composable:
        from psycopg import sql

        names = [sql.Identifier("summed", name) for name in self.aggregates]
        return sql.SQL(
            """
            select {columns} {names} t.geometry, null::text as _outcome, null::text as _reason, 1::bigint as _rows
            from {table} as t
            cross join lateral (select {aggregates} true as is_there from {other} as o where {condition}) as summed
            """
        ).format(
            columns=columns_of(table, without=list(self.aggregates)),
            names=followed(names),
            aggregates=aggregates_of(self.aggregates, other, "o"),
            table=sql.Identifier(table.name),
            other=sql.Identifier(other.name),
            condition=self._condition(),
        )

    def _joined(self, table: Relation, other: Relation) -> Composable:
        from psycopg import sql

        nearest = sql.SQL("st_distance(matched.geometry, o.geometry), " if self.distance else "")
        order: list[Composable] = [sql.Identifier("o", name) for name in self.order_by]
        order.append(sql.SQL("row({})::text").format(sql.SQL(", ").join(sql.Identifier("o", n) for n in other.columns)))
        order.append(sql.SQL("st_asbinary(o.geometry)"))
        found = [
            sql.SQL("{} as {}").format(sql.Identifier("o", column), sql.Identifier(name))
            for name, column in self.columns.items()
        ]
        return sql.SQL(
            """
            select {columns} {chosen} t.geometry,
                case
                    when found._line is null then {unmatched}
                    when found._number > 1 then 'made'
                    when found._matches > 1 then 'kept'
                end as _outcome,
                case
                    when found._line is null then {none}
                    when found._number > 1 then {more}
                    else {several}
                end as _reason,
                1::bigint as _rows
            from {table} as t
            left join (
                select {found} matched.line as _line,
                    row_number() over (partition by matched.line order by {nearest} o._rank) as _number,
                    count(*) over (partition by matched.line) as _matches
                from (select o.*, row_number() over (order by {order}) as _rank from {other} as o) as o
                cross join lateral (
                    select t.ctid as line, t.geometry from {table} as t where {condition} offset 0
                ) as matched
            ) as found on found._line = t.ctid and (found._number = 1 or {all})
            """
        ).format(
            columns=columns_of(table, without=list(self.columns)),
            chosen=followed(sql.Identifier("found", name) for name in self.columns),
            found=followed(found),
            nearest=nearest,
            order=sql.SQL(", ").join(order),
            unmatched=sql.Literal("kept" if self.unmatched == "keep" else "dropped"),
            none=sql.Literal(f"matches none of {other.name}"),
            more=sql.Literal(f"one more match in {other.name}"),
            several=sql.Literal(f"matches several of {other.name}"),
            all=sql.Literal(self.matches == "all"),
            table=sql.Identifier(table.name),
            other=sql.Identifier(other.name),
            condition=self._condition(),
        )
