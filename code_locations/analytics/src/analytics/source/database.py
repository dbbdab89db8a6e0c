"""A table or view of another Postgres as a source: read in one snapshot, from the newest that is there already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from analytics.source.plain import Field, plain
from analytics.source.window import Row
from terrane.errors import store_errors
from terrane.postgres import PostgresResource

BATCH_ROWS = 5000


def read_relation(
    database: PostgresResource, relation: str, fields: Sequence[Field], key: str, since: tuple[str, Any] | None
) -> Iterator[list[Row]]:
    """The relation's rows, in lists of at most 5000; of one moment, whatever is written meanwhile.

    Args:
        relation: `schema.table`.
        key: field that they are sorted by.
        since: a field and the least value of it that is read; rows without one are read each time.
    """
    from psycopg import sql

    columns = [sql.SQL("{} as {}").format(sql.Identifier(f.path), sql.Identifier(f.column.name)) for f in fields]
    query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(columns), sql.Identifier(*relation.split(".")))
    values: list[Any] = []
    if since:
        query, values = query + sql.SQL(" where {0} >= %s or {0} is null").format(sql.Identifier(since[0])), [since[1]]
        query += sql.SQL(" order by {}, {}").format(sql.Identifier(since[0]), sql.Identifier(key))
    place = f"the source database {database.host}:{database.port}/{database.database}"
    with (
        store_errors(place, f"reading {relation}", "compare it with relation and columns in defs.yaml"),
        database.connect() as connection,
    ):
        connection.execute("set transaction isolation level repeatable read, read only")
        # No value depends on it: times come with their zones; but what has none must not be given the server's.
        connection.execute("set local timezone = 'UTC'")
        with connection.cursor("terrane_source") as cursor:
            cursor.execute(query, values)
            while rows := cursor.fetchmany(BATCH_ROWS):
                yield [{f.column.name: plain(value) for f, value in zip(fields, row, strict=True)} for row in rows]
