"""Values of a view's table that Feast has no bytes for, found before a row is written.

One scan, and only of views that have lists or times. Rows of the future are looked at too: they are written one day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from terrane_features.materialize.snapshot import Source, names
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
    """Raises ColumnsDoNotFit with view, column, count and examples unless every value can be written."""
    found = _problems(connection, view, Source.of(view), read_columns(connection, view))
    if found:
        raise ColumnsDoNotFit(found)


def _problems(
    connection: psycopg.Connection, view: FeatureView, source: Source, columns: Mapping[str, str]
) -> list[str]:
    conditions = [
        (feature.name, *condition)
        for feature in view.features
        for condition in _conditions(feature.dtype, columns.get(feature.name, ""))
    ]
    conditions.append((source.time, *EVENT))
    bad = [_condition(name, text) for name, text, _ in conditions]
    counts = _counted(connection, source, bad)
    problems = []
    for (name, _, what), condition, count in zip(conditions, bad, counts, strict=True):
        if count:
            who = "; ".join(_examples(connection, source, condition))
            keys = ", ".join(source.keys)
            problems.append(
                f"Feature view {view.name} ({view.place}) cannot be materialised: the column {name} of {view.table}"
                f" holds {what} in {count} rows ({keys} {who}), for which Feast has no value: correct the dbt model."
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


def _condition(name: str, text: str) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(text).format(x=sql.Identifier(name))  # pyright: ignore[reportArgumentType]


def _counted(connection: psycopg.Connection, source: Source, bad: list[sql.Composed]) -> tuple[Any, ...]:
    from psycopg import sql

    counts = sql.SQL(", ").join(sql.SQL("count(*) filter (where {})").format(condition) for condition in bad)
    row = connection.execute(sql.SQL("select {} from {} as t").format(counts, source.named())).fetchone()
    assert row is not None
    return row


def _examples(connection: psycopg.Connection, source: Source, condition: sql.Composed) -> list[str]:
    """The join keys of a few such rows, as text."""
    from psycopg import sql

    query = sql.SQL("select {} from {} as t where {} order by {} limit {}").format(
        names(source.keys), source.named(), condition, names(source.keys), sql.Literal(SHOWN)
    )
    return [", ".join(map(str, row)) for row in connection.execute(query).fetchall()]
