"""Rows into a raw table: COPY into a temporary one, then a statement that makes them the table's: one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics.warehouse.tables import SCHEMA, Table
from terrane.errors import Permanent

if TYPE_CHECKING:
    import psycopg

INCOMING = "incoming"

Merge = Callable[["psycopg.Connection", Table], int]


def load(
    connection: psycopg.Connection, table: Table, pages: Iterable[Sequence[Mapping[str, Any]]], merge: Merge
) -> int:
    """Writes the rows of all pages, or none when anything is raised, also by `pages`.

    Returns:
        What the merge says: how many rows of the table are now as they came in.

    Raises:
        Permanent: a row lacks a column.
    """
    from psycopg import sql

    names, incoming = table.names, sql.Identifier(INCOMING)
    with connection.transaction():
        connection.execute(
            sql.SQL("create temporary table {} (like {}) on commit drop").format(
                incoming, sql.Identifier(SCHEMA, table.name)
            )
        )
        into = sql.SQL("copy {} ({}) from stdin").format(incoming, _list(names))
        with connection.cursor() as cursor, cursor.copy(into) as copy:
            for page in pages:
                for row in page:
                    copy.write_row(_values(table, names, row))
        return merge(connection, table)


def newest_wins(connection: psycopg.Connection, table: Table) -> int:
    """Keeps of each key the row with the latest time, among those that came in and the one in the table."""
    from psycopg import sql

    key, time = sql.Identifier(table.key), sql.Identifier(table.time_column or table.key)
    name = sql.Identifier(SCHEMA, table.name)
    updates = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(n)) for n in table.names if n != table.key]
    keys = connection.execute(
        sql.SQL("select count(distinct {}) from {}").format(key, sql.Identifier(INCOMING))
    ).fetchone()
    connection.execute(
        sql.SQL(
            "insert into {name} as present ({columns}) select distinct on ({key}) {columns} from {incoming} "
            "order by {key}, {time} desc on conflict ({key}) do update set {updates} "
            "where excluded.{time} >= present.{time}"
        ).format(
            name=name,
            columns=_list(table.names),
            key=key,
            time=time,
            incoming=sql.Identifier(INCOMING),
            updates=sql.SQL(", ").join(updates),
        )
    )
    return keys[0] if keys else 0


def replace_between(start: datetime, end: datetime) -> Merge:
    """Makes what came in exactly the table's rows with start <= time < end."""

    def merge(connection: psycopg.Connection, table: Table) -> int:
        from psycopg import sql

        time = sql.Identifier(table.time_column or table.key)
        connection.execute(
            sql.SQL("delete from {} where {} >= %s and {} < %s").format(sql.Identifier(SCHEMA, table.name), time, time),
            [start, end],
        )
        return _insert(connection, table)

    return merge


def replace_all(connection: psycopg.Connection, table: Table) -> int:
    """Makes what came in exactly the table. Deletes, since TRUNCATE would lock out who reads the table now."""
    from psycopg import sql

    connection.execute(sql.SQL("delete from {}").format(sql.Identifier(SCHEMA, table.name)))
    return _insert(connection, table)


def _insert(connection: psycopg.Connection, table: Table) -> int:
    from psycopg import sql

    columns = _list(table.names)
    return connection.execute(
        sql.SQL("insert into {} ({}) select {} from {}").format(
            sql.Identifier(SCHEMA, table.name), columns, columns, sql.Identifier(INCOMING)
        )
    ).rowcount


def _values(table: Table, names: Sequence[str], row: Mapping[str, Any]) -> list[Any]:
    try:
        return [row[name] for name in names]
    except KeyError as error:
        raise Permanent(
            f"a row for {SCHEMA}.{table.name} has no {error}; it has {', '.join(row)}. Nothing was written; "
            "where the source's form has changed, adapt the table's columns in defs.yaml"
        ) from None


def _list(names: Sequence[str]):
    from psycopg import sql

    return sql.SQL(", ").join(sql.Identifier(name) for name in names)
