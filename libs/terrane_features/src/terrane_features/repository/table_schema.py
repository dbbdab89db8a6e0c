"""Whether a view's table has the columns, and the types, that the view declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from terrane_features.materialize.snapshot import Source, look_in, type_name
from terrane_features.repository.model import KEY_TYPES, Feature, FeatureView

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


class ColumnsDoNotFit(ValueError):
    """A definition names columns that its table does not have, or has with another type; `problems` are sentences."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("Nothing was applied or written. " + " ".join(problems))


def read_columns(connection: psycopg.Connection, view: FeatureView) -> dict[str, str]:
    """Postgres' type names (`int8`, `_text`) of the columns of a view's table or query; empty when there is no table.

    Raises ColumnsDoNotFit for a query that Postgres does not take.
    """
    import psycopg
    from psycopg import sql

    source = Source.of(view)
    try:
        with connection.transaction():
            look_in(connection, view.schema)
            description = connection.execute(
                sql.SQL("select * from {} as t limit 0").format(source.named())
            ).description
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return {}
    except psycopg.ProgrammingError as error:
        reason = " ".join((error.diag.message_primary or str(error)).split())
        raise ColumnsDoNotFit([f"Feature view {view.name} ({view.place}) cannot be read: {reason}."]) from error
    return {column.name: type_name(connection, column.type_code) for column in description or []}


def check_views(connection: psycopg.Connection, views: Iterable[FeatureView]) -> None:
    """Raises ColumnsDoNotFit, which lists every problem of every view, unless all of them fit."""
    problems: list[str] = []
    for view in views:
        try:
            problems += problems_of(view, read_columns(connection, view))
        except ColumnsDoNotFit as error:
            problems += error.problems
    if problems:
        raise ColumnsDoNotFit(problems)


def problems_of(view: FeatureView, columns: Mapping[str, str]) -> list[str]:
    """One sentence a problem, with the view, the column, the table, and what to do."""
    if not columns:
        asset = " and ".join("/".join(table) for table in view.upstream) or view.table.replace(".", "/")
        return [
            f"Feature view {view.name} reads {view.table}, which does not exist: materialise the asset {asset} in the"
            " location that owns it, or correct the source's table in feast_repo."
        ]
    wanted = [(f.name, _accepted(f.dtype)) for f in view.features]
    wanted += [(name, _accepted(VALUE_TYPES.get(value_type, value_type))) for name, value_type in view.join_keys]
    wanted += [(view.timestamp_column, {"timestamptz"})]
    wanted += [(view.created_column, {"timestamptz"})] if view.created_column else []
    return [problem for name, types in wanted if (problem := _problem(view, name, types, columns))]


def with_registered_types(view: FeatureView, registered: Any) -> FeatureView:
    """The view with what Feast took from the table when it was applied: types of join keys, and features.

    Args:
        registered: Feast's own feature view.
    """
    types = {column.name: column.dtype.to_value_type().name for column in registered.entity_columns}
    keys = tuple((name, kind or types.get(name, "")) for name, kind in view.join_keys)
    features = view.features or tuple(Feature(f.name, str(f.dtype)) for f in registered.features)
    return replace(view, join_keys=keys, features=features)


def refuse_keys(view: FeatureView) -> None:
    """Raises ColumnsDoNotFit for a join key that is written to no online store; types that come from the table are
    known once the view is registered."""
    problems = [
        f"Feature view {view.name} ({view.place}) is keyed by {name} of type {kind}, and no such key is written online:"
        f" cast the column in the dbt model, and declare the key as one of {', '.join(sorted(KEY_TYPES))}."
        for name, kind in view.join_keys
        if kind not in KEY_TYPES
    ]
    if problems:
        raise ColumnsDoNotFit(problems)


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
