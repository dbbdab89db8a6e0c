"""Whether a view's table has the columns, and the types, that the view declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from terrane_features.repository.model import FeatureView

if TYPE_CHECKING:
    import psycopg

# Postgres' own names (udt_name) of the types whose values Feast converts into each of its types without loss.
ACCEPTED = {
    "Bool": {"bool"},
    "Bytes": {"bytea"},
    "Decimal": {"bpchar", "text", "varchar"},
    "Float32": {"float4"},
    "Float64": {"float4", "float8"},
    "ImageBytes": {"bytea"},
    "Int32": {"int2", "int4"},
    "Int64": {"int2", "int4", "int8"},
    "Json": {"text", "varchar"},
    "PdfBytes": {"bytea"},
    "String": {"bpchar", "text", "varchar"},
    "TimeUuid": {"bpchar", "text", "varchar"},
    "UnixTimestamp": {"timestamp", "timestamptz"},
    "Uuid": {"bpchar", "text", "varchar"},
}
VALUE_TYPES = {
    "INT32": "Int32",
    "INT64": "Int64",
    "STRING": "String",
    "BYTES": "Bytes",
    "UNIX_TIMESTAMP": "UnixTimestamp",
}
COLUMNS_SQL = """
    select column_name, udt_name from information_schema.columns
    where table_schema = %s and table_name = %s
"""


class ColumnsDoNotFit(ValueError):
    """A definition names columns that its table does not have, or has with another type; `problems` are sentences."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("Nothing was applied or written. " + " ".join(problems))


def read_columns(connection: psycopg.Connection, table: str) -> dict[str, str]:
    """Postgres' type names of a table's columns; empty when there is no such table."""
    return dict(connection.execute(COLUMNS_SQL, table.split(".", 1)).fetchall())


def check_views(connection: psycopg.Connection, views: Iterable[FeatureView]) -> None:
    """Raises ColumnsDoNotFit, which lists every problem of every view, unless all of them fit."""
    problems = [p for view in views for p in problems_of(view, read_columns(connection, view.table))]
    if problems:
        raise ColumnsDoNotFit(problems)


def problems_of(view: FeatureView, columns: Mapping[str, str]) -> list[str]:
    """One sentence a problem, with the view, the column, the table, and what to do."""
    if not columns:
        asset = view.table.replace(".", "/")
        return [
            f"Feature view {view.name} reads {view.table}, which does not exist: materialise the asset {asset} in the"
            " location that owns it, or correct the source's table in feast_repo."
        ]
    wanted = [(f.name, _accepted(f.dtype)) for f in view.features]
    wanted += [(name, _accepted(VALUE_TYPES.get(value_type, value_type))) for name, value_type in view.join_keys]
    wanted += [(view.timestamp_column, {"timestamptz"})]
    wanted += [(view.created_column, {"timestamptz"})] if view.created_column else []
    return [problem for name, types in wanted if (problem := _problem(view, name, types, columns))]


def _accepted(dtype: str) -> set[str]:
    """Postgres' types for a Feast type; empty, which accepts any, for a type this module does not know."""
    if dtype.startswith("Array(") and dtype.endswith(")"):
        return {f"_{name}" for name in _accepted(dtype[len("Array(") : -1])}
    return ACCEPTED.get(dtype, set())


def _problem(view: FeatureView, name: str, types: set[str], columns: Mapping[str, str]) -> str | None:
    if name not in columns:
        there = ", ".join(sorted(columns))
        return (
            f"Feature view {view.name} names the column {name}, which {view.table} does not have (it has {there}):"
            f" add the column to the dbt model, or correct the view in feast_repo."
        )
    if types and columns[name] not in types:
        return (
            f"Feature view {view.name} needs the column {name} of {view.table} as {' or '.join(sorted(types))}, and it"
            f" is {columns[name]}: cast it in the dbt model, or correct the type in feast_repo."
        )
    return None
