"""A person's rows in the warehouse: deleted from every table, and not taken again from the source.

What is kept of the person is a digest of the id for each raw table, by which ingestion leaves the rows out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analytics.warehouse import tables
from analytics.warehouse.tables import FORGOTTEN, REJECTED, Table
from terrane import names
from terrane.errors import database_errors
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Person:
    """Whom to forget.

    Attributes:
        id: as a text, whatever the columns' type.
        column: what it is called in tables and files.
        called: raw tables in which it is called otherwise.
    """

    id: str
    column: str
    called: Mapping[str, str] = field(default_factory=dict)


def digest(value: object) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()


def forget_rows(warehouse: PostgresResource, person: Person) -> dict[str, int]:
    """Deletes the person's rows from every table of the environment; returns how many, by table.

    The digests are committed first and then each table is locked against writers: a day that is being written has
    read what is forgotten after this, or is waited for. Costs a look at every table. Can be repeated.
    """
    found = {}
    with database_errors(warehouse, "forgetting rows"), warehouse.connect(autocommit=True) as connection:
        columns = _columns(connection, person)
        _remember(connection, person, columns)
        for (schema, table), column in columns.items():
            found[f"{schema}.{table}"] = _delete(connection, schema, table, column, person.id)
        found[f"{tables.schema()}.{REJECTED}"] = _delete_rejected(connection, person, columns)
    return {name: rows for name, rows in found.items() if rows}


def forgotten(connection: psycopg.Connection, table: Table) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a row is of somebody whom the table's rows are to forget; keeps who forgets waiting until the
    transaction's end. Reads a digest for each person whom the table has forgotten, so many as ever asked for it."""
    from psycopg import sql

    connection.execute(
        sql.SQL("lock table {} in row exclusive mode").format(sql.Identifier(tables.schema(), table.name))
    )
    query = sql.SQL("select column_name, digest from {} where table_name = %s").format(
        sql.Identifier(tables.schema(), FORGOTTEN)
    )
    digests: dict[str, set[str]] = {}
    for column, each in connection.execute(query, [table.name]):
        digests.setdefault(column, set()).add(each)
    return lambda row: any(digest(row.get(column)) in known for column, known in digests.items())


def _columns(connection: psycopg.Connection, person: Person) -> dict[tuple[str, str], str]:
    """The tables of the environment's schemas that have the person's id, and in which column."""
    query = (
        "select table_schema, table_name, column_name from information_schema.columns "
        "join information_schema.tables using (table_schema, table_name) where table_type = 'BASE TABLE' "
        "and table_schema not like 'pg%%' and (column_name = %s or table_schema = %s)"
    )
    raw = tables.schema()
    found: dict[tuple[str, str], str] = {}
    for schema, table, column in connection.execute(query, [person.column, raw]):
        wanted = person.called.get(table, person.column) if schema == raw else person.column
        if column == wanted and names.current().base_of(schema) not in (None, names.FEAST):
            found[schema, table] = column
    return found


def _remember(connection: psycopg.Connection, person: Person, columns: Mapping[tuple[str, str], str]) -> None:
    from psycopg import sql

    tables.ensure_forgotten(connection)
    statement = sql.SQL(
        "insert into {} (table_name, column_name, digest) values (%s, %s, %s) on conflict do nothing"
    ).format(sql.Identifier(tables.schema(), FORGOTTEN))
    for (schema, table), column in columns.items():
        if schema == tables.schema():
            connection.execute(statement, [table, column, digest(person.id)])


def _delete(connection: psycopg.Connection, schema: str, table: str, column: str, value: str) -> int:
    from psycopg import sql

    name = sql.Identifier(schema, table)
    with connection.transaction():
        connection.execute(sql.SQL("lock table {} in share row exclusive mode").format(name))
        statement = sql.SQL("delete from {} where {}::text = %s").format(name, sql.Identifier(column))
        return connection.execute(statement, [value]).rowcount


def _delete_rejected(connection: psycopg.Connection, person: Person, columns: Mapping[tuple[str, str], str]) -> int:
    """Rows that were refused are kept as they came, with all that they say; some of it is no JSON to Postgres."""
    from psycopg import sql

    name = sql.Identifier(tables.schema(), REJECTED)
    raw = {table: column for (schema, table), column in columns.items() if schema == tables.schema()}
    with connection.transaction():
        connection.execute(sql.SQL("lock table {} in share row exclusive mode").format(name))
        query = sql.SQL("select ctid::text, table_name, content from {} where table_name = any(%s)").format(name)
        with connection.cursor("rejected") as cursor:
            cursor.execute(query, [list(raw)])
            theirs = [place for place, table, row in cursor if _is_of(row, raw[table], person.id)]
        statement = sql.SQL("delete from {} where ctid = any(%s::tid[])").format(name)
        return connection.execute(statement, [theirs]).rowcount


def _is_of(content: str, column: str, value: str) -> bool:
    """Whether a refused row is the person's; a line of a file that could not be read is where it holds the id."""
    row = json.loads(content)
    return str(row[column]) == value if column in row else value in content
