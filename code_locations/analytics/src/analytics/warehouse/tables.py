"""A raw table: its columns, and having it in the warehouse before anything is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

from terrane import names
from terrane.errors import Permanent

if TYPE_CHECKING:
    import psycopg

LEDGER = "ingested_days"
REJECTED = "rejected"
FILES = "ingested_files"
FORGOTTEN, NOT_BEFORE = "forgotten", "sources_not_before"
NOT_NULL = re.compile(r"\s+not\s+null\b", re.IGNORECASE)
# One for everybody who makes tables here: `create schema if not exists` fails when two do it at once.
LOCK = "terrane raw tables"


@dataclass(frozen=True)
class Column:
    """A column: the name, which is also the field's in the API, Postgres' type, and what it holds."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """A raw table. `key` is the column of the primary key, `time_column`, where there is one, is indexed."""

    name: str
    columns: Sequence[Column]
    key: str
    time_column: str | None = None

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def qualified(self) -> str:
        """Its name with the schema, for people."""
        return f"{schema()}.{self.name}"


def schema() -> str:
    """The schema of raw tables, in this environment."""
    return names.current().schema(names.RAW)


def ensure(connection: psycopg.Connection, table: Table, *, fill_new_columns: bool = False) -> list[str]:
    """Makes the table and what is kept about it, or adds the columns it lacks, whose names it returns.

    A column that is added is null in the rows that are there, also where it may not be from now on. A table that was
    not there has no days: what the ledger says of them goes, so that they are asked for again.

    Args:
        fill_new_columns: forget the table's days in the ledger when a column is added: all are asked for again.

    Raises Permanent for a column whose type is another than in the warehouse, with the statement that changes it.
    """
    from psycopg import sql

    name = sql.Identifier(schema(), table.name)
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [names.current().lock(LOCK)])
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema())))
        _ensure_books(connection)
        there = connection.execute("select to_regclass(%s)", [name.as_string(connection)]).fetchone() != (None,)
        if there:
            _refuse_changed_types(connection, table)
        else:
            connection.execute(
                sql.SQL("create table {} ({}, primary key ({}))").format(
                    name, _columns(table), sql.Identifier(table.key)
                )
            )
        added = _add_missing(connection, table)
        if not there or (added and fill_new_columns):
            statement = sql.SQL("delete from {} where table_name = %s")
            for book in (LEDGER, FILES):
                connection.execute(statement.format(sql.Identifier(schema(), book)), [table.name])
        if table.time_column:
            _ensure_index(connection, f"{table.name}_{table.time_column}", table.name, [table.time_column])
    return added


def _ensure_books(connection: psycopg.Connection) -> None:
    """Makes the tables of days and files that were ingested, of refused rows, and of who is forgotten."""
    from psycopg import sql

    books: Sequence[tuple[LiteralString, str]] = (
        (
            "create table if not exists {} (table_name text, day date, rows bigint not null, run_id text not null, "
            "ingested_at timestamptz not null default now(), primary key (table_name, day))",
            LEDGER,
        ),
        (
            "create table if not exists {} (table_name text, file text, version text not null, rows bigint not null, "
            "run_id text not null, ingested_at timestamptz not null default now(), primary key (table_name, file))",
            FILES,
        ),
        (
            "create table if not exists {} (table_name text not null, day date not null, row_id text not null, "
            "column_name text not null, reason text not null, content text not null, run_id text not null, "
            "rejected_at timestamptz not null default now())",
            REJECTED,
        ),
    )
    for statement, book in books:
        connection.execute(sql.SQL(statement).format(sql.Identifier(schema(), book)))
    _ensure_index(connection, f"{REJECTED}_day", REJECTED, ["table_name", "day"])
    ensure_forgotten(connection)


def _ensure_index(connection: psycopg.Connection, name: str, table: str, columns: Sequence[str]) -> None:
    """Makes the index where there is none: to ask with `if not exists` locks the table, and waits for who writes it."""
    from psycopg import sql

    place = sql.Identifier(schema(), name[: names.LONGEST]).as_string(connection)
    if connection.execute("select to_regclass(%s)", [place]).fetchone() != (None,):
        return
    connection.execute(
        sql.SQL("create index {} on {} ({})").format(
            sql.Identifier(name[: names.LONGEST]),
            sql.Identifier(schema(), table),
            sql.SQL(", ").join(sql.Identifier(each) for each in columns),
        )
    )


def _columns(table: Table):
    from psycopg import sql

    return sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(c.name), _type(c)) for c in table.columns)


def _add_missing(connection: psycopg.Connection, table: Table) -> list[str]:
    from psycopg import sql

    missing = _missing(connection, table)
    for column in missing:
        nullable = sql.SQL(NOT_NULL.sub("", column.type))  # pyright: ignore[reportArgumentType]
        connection.execute(
            sql.SQL("alter table {} add column {} {}").format(
                sql.Identifier(schema(), table.name), sql.Identifier(column.name), nullable
            )
        )
    return [column.name for column in missing]


def _refuse_changed_types(connection: psycopg.Connection, table: Table) -> None:
    """Raises Permanent where a column has another type than defs.yaml says: as Postgres itself reads both."""
    from psycopg import sql

    connection.execute(sql.SQL("create temporary table declared ({}) on commit drop").format(_columns(table)))
    query = (
        "select attname, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = %s::regclass and attnum > 0 and not attisdropped"
    )
    name = sql.Identifier(schema(), table.name).as_string(connection)
    there = dict(connection.execute(query, [name]).fetchall())
    declared = dict(connection.execute(query, ["pg_temp.declared"]).fetchall())
    connection.execute("drop table pg_temp.declared")
    changed = [(n, there[n], kind) for n, kind in declared.items() if n in there and there[n] != kind]
    if not changed:
        return
    told = ", ".join(f"{n} is {was} there and {now} in defs.yaml" for n, was, now in changed)
    alter = ", ".join(f'alter column "{n}" type {now} using "{n}"::{now}' for n, _, now in changed)
    raise Permanent(
        f"{table.qualified} has columns of other types than its defs.yaml: {told}. Nothing was written. Where that is "
        f"meant, run `alter table {name} {alter};` in the warehouse, after dropping the views on it, which dbt makes "
        "again; otherwise put the type back, and run again"
    )


def ensure_not_before(connection: psycopg.Connection) -> None:
    """Makes the table of when sources may be asked again, and the schema of raw tables."""
    from psycopg import sql

    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [names.current().lock(LOCK)])
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema())))
        connection.execute(
            sql.SQL("create table if not exists {} (url text primary key, until timestamptz not null)").format(
                sql.Identifier(schema(), NOT_BEFORE)
            )
        )


def ensure_forgotten(connection: psycopg.Connection) -> None:
    """Makes the table of what is not taken again: a digest of the id, by table and column."""
    from psycopg import sql

    connection.execute(
        sql.SQL(
            "create table if not exists {} (table_name text, column_name text, digest text, "
            "forgotten_at timestamptz not null default now(), primary key (table_name, column_name, digest))"
        ).format(sql.Identifier(schema(), FORGOTTEN))
    )


def _type(column: Column):
    """A type comes from defs.yaml, which is code; it is no value that anybody sends."""
    from psycopg import sql

    return sql.SQL(column.type)  # pyright: ignore[reportArgumentType]


def _missing(connection: psycopg.Connection, table: Table) -> list[Column]:
    query = "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
    there = {name for (name,) in connection.execute(query, [schema(), table.name])}
    return [column for column in table.columns if column.name not in there]
