"""What the steps' parameters may be, and what every step has in common.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from terrane_spatial.reading.layer import GEOMETRY

if TYPE_CHECKING:
    from psycopg.sql import Composable

FLAGS = ("_outcome", "_reason", "_rows")
TABLE = re.compile(r"[a-z][a-z0-9_]{0,58}\Z")
MAX_NAME_BYTES = 63


def _table(value: str) -> str:
    if not TABLE.match(value):
        raise ValueError("expected at most 59 lower-case letters, digits or '_', beginning with a letter")
    return value


def _column(value: str) -> str:
    if not 0 < len(value.encode()) <= MAX_NAME_BYTES or not value.isprintable():
        raise ValueError(f"expected the name of a column, 1 to {MAX_NAME_BYTES} bytes that can be printed")
    if value in (GEOMETRY, *FLAGS):
        raise ValueError(f"expected a column other than {value}, which is the steps' own")
    return value


# In words of JSON Schema, which anchors nothing by itself.
TableName = Annotated[str, AfterValidator(_table), Field(json_schema_extra={"pattern": r"^[a-z][a-z0-9_]{0,58}$"})]
ColumnName = Annotated[str, AfterValidator(_column)]
Srid = Annotated[int, Field(ge=1, le=998_999)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Aggregate = (
    Literal["count"]
    | Annotated[dict[Literal["sum", "min", "max", "mean"], ColumnName], Field(min_length=1, max_length=1)]
)
Aggregates = dict[ColumnName, Aggregate]
NO_AGGREGATES: Aggregates = {}
# Names of columns without the geometry, where they are known.
Columns = frozenset[str] | None


@dataclass(frozen=True)
class Relation:
    """A table as a step finds it.

    Attributes:
        columns: names with their types in Postgres' words, without the geometry.
        srid: of its geometry.
    """

    name: str
    columns: Mapping[str, str]
    srid: int


class Step(BaseModel):
    """A step: what its YAML gives, and the query it makes of that.

    Attributes:
        table: what the step works on.
        into: the table it makes; without it, its result takes the place of `table`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=False)

    table: TableName
    into: TableName | None = None

    kind: ClassVar[str]

    @property
    def target(self) -> str:
        return self.into or self.table

    def others(self) -> Sequence[str]:
        """The tables it reads beside its own."""
        return ()

    def columns_read(self) -> Mapping[str, Sequence[str]]:
        """By parameter, the columns of `table` that must be there."""
        return {}

    def columns_read_of_other(self) -> Mapping[str, Sequence[str]]:
        """By parameter, the columns of the other table that must be there."""
        return {}

    def columns_made(self, columns: Columns) -> Columns:
        """The columns of its result, from those of `table`; None where those are not known and decide."""
        return columns

    def same_system(self) -> bool:
        """Whether the other table must be in the reference system of `table`."""
        return bool(self.others())

    def indexed(self) -> str | None:
        """The table whose geometry needs an index for this step."""
        return None

    def functions(self) -> Sequence[str]:
        """SQL that makes the functions which its queries call, in the session's own schema."""
        return ()

    def query(self, table: Relation, other: Relation | None) -> Composable:
        """The query of the result: columns, `geometry`, and the flags.

        `_outcome` and `_reason` say what became of a row, null where there is nothing to tell; `_rows` of how many rows
        that is told. Rows whose outcome is dropped or duplicate are taken out once they are told.
        """
        raise NotImplementedError

    def careful_query(self, table: Relation, other: Relation | None) -> Composable | None:
        """A slower query of the same result, for when PostGIS fails the first one over a row; None without one."""
        return None


def columns_of(relation: Relation, alias: str = "t", without: Sequence[str] = ()) -> Composable:
    """The relation's columns, each followed by a comma, to stand before what a step adds."""
    from psycopg import sql

    return followed(sql.Identifier(alias, name) for name in relation.columns if name not in without)


def followed(parts: Iterable[Composable]) -> Composable:
    """The parts, each followed by a comma."""
    from psycopg import sql

    return sql.Composed([sql.SQL("{}, ").format(part) for part in parts])


def aggregates_of(aggregates: Aggregates, relation: Relation, alias: str = "t") -> Composable:
    """The aggregates, each followed by a comma. Sums of integers stay integers; other sums and means are doubles."""
    from psycopg import sql

    made = []
    for name, aggregate in aggregates.items():
        if aggregate == "count":
            value = sql.SQL("count(*)")
        else:
            ((function, column),) = aggregate.items()
            value = _aggregate(function, sql.Identifier(alias, column), relation.columns[column])
        made.append(sql.SQL("{} as {}").format(value, sql.Identifier(name)))
    return followed(made)


def columns_in(aggregates: Aggregates) -> list[str]:
    """The columns that the aggregates read."""
    return [column for aggregate in aggregates.values() if aggregate != "count" for column in aggregate.values()]


def _aggregate(function: str, column: Composable, kind: str) -> Composable:
    from psycopg import sql

    if function in ("min", "max"):
        return sql.SQL("{}({})").format(sql.SQL("min" if function == "min" else "max"), column)
    if function == "mean":
        return sql.SQL("avg({})::double precision").format(column)
    if kind in ("smallint", "integer", "bigint"):
        return sql.SQL("sum({})::bigint").format(column)
    return sql.SQL("sum({})::double precision").format(column)
