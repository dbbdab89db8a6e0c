"""Values that Feast has no bytes for, found before a row is written: of each entity's newest row, which is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from terrane_features.materialize.snapshot import Source, names, newest_rows
from terrane_features.repository.table_schema import ColumnsDoNotFit, read_columns

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from terrane_features.repository.model import FeatureView

SHOWN = 3
# A time of Python's, which is what Feast makes of it, knows these years alone; `infinity` lies outside.
YEARS = "between '0001-01-01Z' and '9999-12-31 23:59:59.999999Z'"
TIME = (f"{{x}} not {YEARS}", "a time outside the years 1 to 9999")
EVENT = ("{x} < '0001-01-01Z'", TIME[1])
NESTED = ("array_ndims({x}) > 1", "a list of lists")
# array_position takes no list of lists.
NULL_INSIDE = ("case when array_ndims({x}) = 1 then array_position({x}, null) is not null end", "a list with a null")
TIME_INSIDE = (f"exists (select from unnest({{x}}) as item where item not {YEARS})", TIME[1])
INTEGER_LISTS = ("Array(Int32)", "Array(Int64)")
TIMES, TIME_LISTS = ("timestamp", "timestamptz"), ("_timestamp", "_timestamptz")


def refuse_values(connection: psycopg.Connection, view: FeatureView) -> None:
    """Raises ColumnsDoNotFit with view, column, count and examples unless every value can be written.

    Costs a scan of the view's table; where that finds something, its newest rows are sorted out as well.
    """
    source, columns = Source.of(view), read_columns(connection, view)
    of_features = [
        Fault(feature.name, *condition)
        for feature in view.features
        for condition in _conditions(feature.dtype, columns.get(feature.name, ""))
    ]
    event = Fault(source.time, *EVENT)
    there = [fault for fault, count in _counted(connection, source.named(), [event, *of_features]) if count]
    if not there:
        return
    # Any event outside of the years: the window's first could not be read.
    problems = _problems(connection, view, source, source.named(), [event] if event in there else [])
    served = [fault for fault in of_features if fault in there]
    if served:
        wanted = list(dict.fromkeys([*source.keys, *(fault.column for fault in served)]))
        newest = newest_rows(source, wanted, _clock(connection), unique=False)
        problems += _problems(connection, view, source, _in_parentheses(newest), served)
    if problems:
        raise ColumnsDoNotFit(problems)


@dataclass(frozen=True)
class Fault:
    """What may be wrong of a column's value, as SQL about `{x}`, and in words."""

    column: str
    text: str
    what: str

    def condition(self) -> sql.Composed:
        from psycopg import sql

        return sql.SQL(self.text).format(x=sql.Identifier(self.column))  # pyright: ignore[reportArgumentType]


def _problems(
    connection: psycopg.Connection, view: FeatureView, source: Source, rows: sql.Composable, faults: Sequence[Fault]
) -> list[str]:
    problems = []
    for fault, count in _counted(connection, rows, faults):
        if count:
            who = "; ".join(_examples(connection, source, rows, fault))
            keys = ", ".join(source.keys)
            problems.append(
                f"Feature view {view.name} ({view.place}) cannot be materialised: the column {fault.column} of "
                f"{view.table} holds {fault.what} in {count} rows ({keys} {who}), for which Feast has no value: "
                "correct the dbt model."
            )
    return problems


def _conditions(dtype: str, column: str) -> list[tuple[str, str]]:
    """What is wrong of a feature's value, as SQL, and in words."""
    if column in TIMES:
        return [TIME]
    if not column.startswith("_"):
        return []
    inside = [NULL_INSIDE] if dtype in INTEGER_LISTS else [TIME_INSIDE] if column in TIME_LISTS else []
    return [NESTED, *inside] if dtype.startswith("Array(") else []


def _counted(connection: psycopg.Connection, rows: sql.Composable, faults: Sequence[Fault]) -> list[tuple[Fault, int]]:
    """Of how many of the rows each fault is."""
    from psycopg import sql

    if not faults:
        return []
    each = [sql.SQL("count(*) filter (where {})").format(fault.condition()) for fault in faults]
    row = connection.execute(sql.SQL("select {} from {} as t").format(sql.SQL(", ").join(each), rows)).fetchone()
    assert row is not None
    return list(zip(faults, row, strict=True))


def _examples(connection: psycopg.Connection, source: Source, rows: sql.Composable, fault: Fault) -> list[str]:
    """The join keys of a few such rows, as text."""
    from psycopg import sql

    query = sql.SQL("select {} from {} as t where {} order by {} limit {}").format(
        names(source.keys), rows, fault.condition(), names(source.keys), sql.Literal(SHOWN)
    )
    return [", ".join(map(str, row)) for row in connection.execute(query).fetchall()]


def _clock(connection: psycopg.Connection) -> datetime:
    row = connection.execute("select now()").fetchone()
    assert row is not None
    return row[0]


def _in_parentheses(query: sql.Composable) -> sql.Composed:
    from psycopg import sql

    return sql.SQL("({})").format(query)
