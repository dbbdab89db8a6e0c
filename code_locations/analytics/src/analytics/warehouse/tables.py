"""A raw table: its columns, and having it in the warehouse before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from terrane import names

if TYPE_CHECKING:
    import psycopg

LEDGER = "ingested_days"
REJECTED = "rejected"
FORGOTTEN, NOT_BEFORE = "forgotten", "sources_not_before"
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


def ensure(connection: psycopg.Connection, table: Table) -> None:
    """Makes the table, or adds the columns it lacks. Types of columns that exist are left as they are."""
    from psycopg import sql

    columns = [sql.SQL("{} {}").format(sql.Identifier(c.name), _type(c)) for c in table.columns]
    name, key = sql.Identifier(schema(), table.name), sql.Identifier(table.key)
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [names.current().lock(LOCK)])
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema())))
        connection.execute(
            sql.SQL("create table if not exists {} ({}, primary key ({}))").format(
                name, sql.SQL(", ").join(columns), key
            )
        )
        for column in _missing(connection, table):
            connection.execute(
                sql.SQL("alter table {} add column {} {}").format(name, sql.Identifier(column.name), _type(column))
            )
        if table.time_column:
            connection.execute(
                sql.SQL("create index if not exists {} on {} ({})").format(
                    sql.Identifier(f"{table.name}_{table.time_column}"), name, sql.Identifier(table.time_column)
                )
            )
            connection.execute(
                sql.SQL(
                    "create table if not exists {} (table_name text, day date, rows bigint not null, "
                    "run_id text not null, ingested_at timestamptz not null default now(), "
                    "primary key (table_name, day))"
                ).format(sql.Identifier(schema(), LEDGER))
            )
            connection.execute(
                sql.SQL(
                    "create table if not exists {} (table_name text not null, day date not null, row_id text not null, "
                    "column_name text not null, reason text not null, content text not null, run_id text not null, "
                    "rejected_at timestamptz not null default now())"
                ).format(sql.Identifier(schema(), REJECTED))
            )
            ensure_forgotten(connection)
            connection.execute(
                sql.SQL("create index if not exists {} on {} (table_name, day)").format(
                    sql.Identifier(f"{REJECTED}_day"), sql.Identifier(schema(), REJECTED)
                )
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
