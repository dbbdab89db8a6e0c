"""Rows into a raw table: COPY into a temporary one, then a statement that makes them the table's: one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics.warehouse.tables import Table, schema
from analytics.warehouse.values import Refused, to_values
from terrane.errors import Permanent

if TYPE_CHECKING:
    import psycopg

INCOMING = "incoming"

Merge = Callable[["psycopg.Connection", Table], int]


def load(
    connection: psycopg.Connection,
    table: Table,
    pages: Iterable[Sequence[Mapping[str, Any]]],
    merge: Merge,
    refuse: Callable[[Refused], None] | None = None,
    leave_out: Callable[[Mapping[str, Any]], bool] = lambda _: False,
) -> int:
    """Writes the rows of all pages, or none when anything is raised, also by `pages`.

    Args:
        refuse: gets each row that a column's type does not fit; without it such a row fails all of them.
        leave_out: says of a row that nothing is to become of it, not even a refusal.

    Returns:
        What the merge says: how many rows of the table are now as they came in.

    Raises:
        Permanent: a row lacks a column, or is refused where nobody takes it.
    """
    from psycopg import sql

    names, incoming = table.names, sql.Identifier(INCOMING)
    with connection.transaction():
        connection.execute(
            sql.SQL("create temporary table {} (like {}) on commit drop").format(
                incoming, sql.Identifier(schema(), table.name)
            )
        )
        into = sql.SQL("copy {} ({}) from stdin").format(incoming, _list(names))
        with connection.cursor() as cursor, cursor.copy(into) as copy:
            for page in pages:
                for row in page:
                    if leave_out(row):
                        continue
                    values = to_values(table, row)
                    if not isinstance(values, Refused):
                        copy.write_row(values)
                    elif refuse:
                        refuse(values)
                    else:
                        raise Permanent(
                            f"row {values.row_id} for {table.qualified}: {values.column} {values.reason}. Nothing "
                            "was written; mend the row at its source, or the column in defs.yaml"
                        )
        return merge(connection, table)


def newest_wins(connection: psycopg.Connection, table: Table) -> int:
    """Keeps of each key the row with the latest time, among those that came in and the one in the table."""
    from psycopg import sql

    key, time = sql.Identifier(table.key), sql.Identifier(table.time_column or table.key)
    name = sql.Identifier(schema(), table.name)
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
    """Makes what came in exactly the table's rows with start <= time < end; an id that was elsewhere moves here."""

    def merge(connection: psycopg.Connection, table: Table) -> int:
        from psycopg import sql

        time = sql.Identifier(table.time_column or table.key)
        connection.execute(
            sql.SQL("delete from {} where {} >= %s and {} < %s").format(
                sql.Identifier(schema(), table.name), time, time
            ),
            [start, end],
        )
        connection.execute(
            sql.SQL("delete from {} where {key} in (select {key} from {})").format(
                sql.Identifier(schema(), table.name), sql.Identifier(INCOMING), key=sql.Identifier(table.key)
            )
        )
        return _insert(connection, table)

    return merge


@dataclass(frozen=True)
class Whole:
    """A merge that makes what came in the table, of a source that is taken whole. Costs reading the table twice.

    Attributes:
        least_kept: the share of the table's rows that has to come in at least; below it, and without any row, nothing
            is written. 0 takes whatever comes.
        keep_gone: leaves rows that did not come in, since others may refer to them.
    """

    least_kept: float = 0
    keep_gone: bool = False

    def __call__(self, connection: psycopg.Connection, table: Table) -> int:
        """Raises Permanent when too few rows came in. Deletes, since TRUNCATE would lock out who reads it now."""
        from psycopg import sql

        name, key = sql.Identifier(schema(), table.name), sql.Identifier(table.key)
        self._guard(connection, table)
        which = sql.SQL(" where {key} in (select {key} from {})").format(sql.Identifier(INCOMING), key=key)
        connection.execute(sql.SQL("delete from {}{}").format(name, which if self.keep_gone else sql.SQL("")))
        return _insert(connection, table)

    def _guard(self, connection: psycopg.Connection, table: Table) -> None:
        if not self.least_kept:
            return
        came, there = _count(connection, INCOMING), count(connection, table)
        if came and came >= self.least_kept * there:
            return
        raise Permanent(
            f"{came} rows came in for {table.qualified}, which has {there}: fewer than {self.least_kept:.0%} of them, "
            f"or none. Nothing was written; see whether the source is whole. If this is meant, run raw/{table.name} "
            "with the config allow_fewer_rows: true, or lower least_kept in its defs.yaml"
        )


def _insert(connection: psycopg.Connection, table: Table) -> int:
    from psycopg import sql

    columns = _list(table.names)
    return connection.execute(
        sql.SQL("insert into {} ({}) select {} from {}").format(
            sql.Identifier(schema(), table.name), columns, columns, sql.Identifier(INCOMING)
        )
    ).rowcount


def _list(names: Sequence[str]):
    from psycopg import sql

    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def count(connection: psycopg.Connection, table: Table) -> int:
    """How many rows the table has."""
    return _count(connection, schema(), table.name)


def count_incoming(connection: psycopg.Connection) -> int:
    """How many rows came in, within a merge."""
    return _count(connection, INCOMING)


def _count(connection: psycopg.Connection, *name: str) -> int:
    from psycopg import sql

    counted = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(*name))).fetchone()
    return counted[0] if counted else 0
