"""What a dataset requires of a table: columns and their types, a box on Earth, a number of rows, keys that are unique.

Of an input it is checked before the first step, and rejects the batch; of another output after the last, where it may
be the steps that are wrong. Either way nothing is published.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from terrane_spatial.errors import BatchRejectedError, StageError

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composable

# Names that stand for several of Postgres' types, and the short ones for its own.
FAMILIES = {
    "any": None,
    "number": {"smallint", "integer", "bigint", "real", "double precision", "numeric"},
    "time": {"timestamp with time zone", "timestamp without time zone"},
    "timestamptz": {"timestamp with time zone"},
    "timestamp": {"timestamp without time zone"},
    **{
        name: {name}
        for name in ("smallint", "integer", "bigint", "real", "double precision", "text", "boolean", "date")
    },
    "bytes": {"bytea"},
}
MAX_VALUE_CHARS = 80

Bounds = tuple[float, float, float, float]


class RowCount(BaseModel):
    """How many rows there may be, both ends included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: Annotated[int, Field(ge=0)] = 1
    max: int | None = None


class Requirement(BaseModel):
    """What is required of one table.

    Attributes:
        columns: names, as the table has them, and a type of FAMILIES each.
        bounds: west, south, east, north in the units of the table's system, in which every geometry lies.
        rows: how many.
        unique: columns whose values together no two rows share, none of them null.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str] = Field(default_factory=dict)
    bounds: Bounds | None = None
    rows: RowCount | None = None
    unique: list[list[str]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        unknown = sorted({kind for kind in self.columns.values() if kind not in FAMILIES})
        if unknown:
            raise ValueError(f"there is no type {', '.join(unknown)}; expected some of {', '.join(FAMILIES)}")
        if self.bounds and not (self.bounds[0] < self.bounds[2] and self.bounds[1] < self.bounds[3]):
            raise ValueError(f"bounds {self.bounds} are not west, south, east, north")
        if self.rows and self.rows.max is not None and self.rows.max < self.rows.min:
            raise ValueError(f"rows has a max {self.rows.max} below its min {self.rows.min}")
        if any(not key for key in self.unique):
            raise ValueError("unique has a key without columns")
        return self


class InputNotAsRequiredError(BatchRejectedError):
    """An input breaks what the dataset requires of it."""


class OutputNotAsRequiredError(StageError):
    """An output breaks what the dataset requires of it."""


def require_of_input(connection: psycopg.Connection, table: str, requirement: Requirement) -> None:
    """Raises InputNotAsRequiredError with all that is wrong with a table as it was loaded."""
    if wrong := list(_wrong(connection, table, table, requirement)):
        raise InputNotAsRequiredError(wrong)


def require_of_output(connection: psycopg.Connection, name: str, table: str, requirement: Requirement) -> None:
    """Raises OutputNotAsRequiredError with all that is wrong with an output as the steps leave it."""
    if wrong := list(_wrong(connection, name, table, requirement)):
        raise OutputNotAsRequiredError(
            f"Nothing is published, for the dataset requires it otherwise: {'; '.join(wrong)}. Mend the steps, or send "
            "another batch"
        )


def _wrong(connection: psycopg.Connection, name: str, table: str, requirement: Requirement) -> Iterator[str]:
    types = _types(connection, table)
    for column, kind in requirement.columns.items():
        allowed = FAMILIES[kind]
        if column not in types:
            yield f"{name} has no column {column}, which is required; it has {', '.join(types)}"
        elif allowed is not None and types[column] not in allowed:
            example = _example(connection, table, column)
            yield f"column {column} of {name} is {types[column]}, and {kind} is required{example}"
    if requirement.rows:
        yield from _rows(connection, name, table, requirement.rows)
    if requirement.bounds:
        yield from _outside(connection, name, table, requirement.bounds)
    for key in requirement.unique:
        missing = [column for column in key if column not in types]
        if missing:
            yield f"{name} has no column {', '.join(missing)}, which is required to be unique"
        else:
            yield from _repeated(connection, name, table, key)


def _types(connection: psycopg.Connection, table: str) -> dict[str, str]:
    found = connection.execute(
        "select attname, format_type(atttypid, null) from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 "
        "and not attisdropped order by attnum",
        [f'"{table}"'],
    )
    return dict(found.fetchall())


def _example(connection: psycopg.Connection, table: str, column: str) -> str:
    """The first row with a value, and the value."""
    found = _one(
        connection,
        "select row, value from (select row_number() over () as row, {column}::text as value from {table}) t"
        " where value is not null limit 1",
        table,
        column=_identifier(column),
    )
    return f": row {found[0]} has {_shown(found[1])}" if found else ""


def _rows(connection: psycopg.Connection, name: str, table: str, wanted: RowCount) -> Iterator[str]:
    (rows,) = _one(connection, "select count(*) from {table}", table) or (0,)
    if rows < wanted.min or (wanted.max is not None and rows > wanted.max):
        most = "or more" if wanted.max is None else f"to {wanted.max}"
        yield f"{name} has {rows} rows, and {wanted.min} {most} are required"


def _outside(connection: psycopg.Connection, name: str, table: str, bounds: Bounds) -> Iterator[str]:
    from psycopg import sql

    edges = {f"e{at}": sql.Literal(edge) for at, edge in enumerate(bounds)}
    found = _one(
        connection,
        "select count(*) over (), row, st_xmin(box), st_ymin(box), st_xmax(box), st_ymax(box) from ("
        "select row_number() over () as row, box3d(geometry) as box from {table}) t"
        " where st_xmin(box) < {e0} or st_ymin(box) < {e1} or st_xmax(box) > {e2} or st_ymax(box) > {e3} limit 1",
        table,
        **edges,
    )
    if found:
        times, row, *box = found
        yield (
            f"{times} geometries of {name} lie outside of {list(bounds)}, which is required: that of row {row} reaches "
            f"from {box[0]:g} {box[1]:g} to {box[2]:g} {box[3]:g}"
        )


def _repeated(connection: psycopg.Connection, name: str, table: str, key: Sequence[str]) -> Iterator[str]:
    from psycopg import sql

    columns = sql.SQL(", ").join(_identifier(column) for column in key)
    empty = sql.SQL(" or ").join(sql.SQL("{} is null").format(_identifier(column)) for column in key)
    null = _one(
        connection,
        "select count(*) over (), row from (select row_number() over () as row, {columns} from {table}) t"
        " where {empty} limit 1",
        table,
        columns=columns,
        empty=empty,
    )
    if null:
        yield (
            f"{null[0]} rows of {name} have no {', '.join(key)}, which is required to be unique: "
            f"the first is row {null[1]}"
        )
    twice = _one(
        connection,
        "select count(*) over (), count(*), min(row), max(row), {columns} from"
        " (select row_number() over () as row, {columns} from {table}) t where not ({empty})"
        " group by {columns} having count(*) > 1 order by 3 limit 1",
        table,
        columns=columns,
        empty=empty,
    )
    if twice:
        groups, times, first, last, *values = twice
        shown = ", ".join(f"{column} {_shown(value)}" for column, value in zip(key, values, strict=True))
        yield (
            f"{', '.join(key)} of {name} is required to be unique, and {groups} values are not: {shown} is in {times} "
            f"rows, {first} and {last} among them"
        )


def _one(connection: psycopg.Connection, query: Any, table: str, **parts: Composable) -> tuple[Any, ...] | None:
    from psycopg import sql

    return connection.execute(sql.SQL(query).format(table=_identifier(table), **parts)).fetchone()


def _identifier(name: str) -> Composable:
    from psycopg import sql

    return sql.Identifier(name)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}..."
