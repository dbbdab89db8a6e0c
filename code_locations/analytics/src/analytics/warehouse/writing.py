"""What rows of a source do to those of the table: append, replace or merge; and what becomes of rows that are gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from analytics.source.window import WindowChanged
from analytics.warehouse import loading
from analytics.warehouse.loading import INCOMING, Merge
from analytics.warehouse.tables import Table, schema

if TYPE_CHECKING:
    import psycopg

Disposition = Literal["append", "replace", "merge"]
Deletions = Literal["delete", "keep"]


@dataclass(frozen=True)
class Writing:
    """How a source's rows become the table's.

    Attributes:
        write: `append` takes rows whose key the table has not, `replace` makes what came in the table, `merge` takes
            of each key the newest by the table's time column, or what came in where it has none.
        deletions: of rows that are flagged as deleted, and of those a whole source has no longer.
        deleted_flag: column that is true, or a time that is not null, in rows that are deleted at the source.
        least_kept: of `replace`, the share of the table's rows that has to come in at least.
    """

    write: Disposition
    deletions: Deletions = "delete"
    deleted_flag: str | None = None
    least_kept: float = 0.5

    def merge(self) -> Merge:
        """Raises WindowChanged when a key came twice and nothing says which of the two is right."""

        def merged(connection: psycopg.Connection, table: Table) -> int:
            if self.write != "merge" or not table.time_column:
                _refuse_twice(connection, table)
            if self.write == "append":
                return _append(connection, table)
            if self.write == "merge":
                return loading.newest_wins(connection, table)
            return loading.Whole(self.least_kept, self.deletions == "keep")(connection, table)

        return merged

    def delete_flagged(self, connection: psycopg.Connection, table: Table) -> int:
        """Deletes rows that came in flagged, and returns how many; how many are flagged, where they are kept."""
        from psycopg import sql

        if not self.deleted_flag:
            return 0
        kind = next(column.type for column in table.columns if column.name == self.deleted_flag).lower()
        flag = sql.Identifier(self.deleted_flag)
        is_deleted = sql.SQL("{}" if kind.startswith("bool") else "{} is not null").format(flag)
        name, key = sql.Identifier(schema(), table.name), sql.Identifier(table.key)
        if self.deletions == "keep":
            statement = sql.SQL("select count(*) from {} where {}").format(sql.Identifier(INCOMING), is_deleted)
            counted = connection.execute(statement).fetchone()
            return counted[0] if counted else 0
        return connection.execute(
            sql.SQL("delete from {} where {} and {key} in (select {key} from {})").format(
                name, is_deleted, sql.Identifier(INCOMING), key=key
            )
        ).rowcount


def mark(connection: psycopg.Connection, table: Table) -> Any:
    """The newest that the table has, from which a source is read on; None of an empty one.

    It is in the table itself, so that a restore or a dropped table asks again for what is missing. A time in the future
    is a mistake of one row and hides none that come before it.
    """
    from psycopg import sql

    column = next(each for each in table.columns if each.name == table.time_column)
    past = sql.SQL(" where {} <= now()").format(sql.Identifier(column.name))
    found = connection.execute(
        sql.SQL("select max({}) from {}{}").format(
            sql.Identifier(column.name),
            sql.Identifier(schema(), table.name),
            past if is_time(column.type) else sql.SQL(""),
        )
    ).fetchone()
    return found[0] if found else None


def is_time(kind: str) -> bool:
    """Whether a column's type is a moment or a date; otherwise it is a number that grows."""
    return kind.lower().startswith(("timestamp", "date"))


def _append(connection: psycopg.Connection, table: Table) -> int:
    from psycopg import sql

    columns = sql.SQL(", ").join(sql.Identifier(name) for name in table.names)
    return connection.execute(
        sql.SQL("insert into {} ({columns}) select {columns} from {} on conflict do nothing").format(
            sql.Identifier(schema(), table.name), sql.Identifier(INCOMING), columns=columns
        )
    ).rowcount


def _refuse_twice(connection: psycopg.Connection, table: Table) -> None:
    from psycopg import sql

    key = sql.Identifier(table.key)
    twice = connection.execute(
        sql.SQL("select count(*) from (select from {} group by {} having count(*) > 1) as twice").format(
            sql.Identifier(INCOMING), key
        )
    ).fetchone()
    if twice and twice[0]:
        raise WindowChanged(
            f"{twice[0]} of the values of {table.key} came more than once for {table.qualified}, as when rows move "
            "from a page to another while they are read; where they are versions of a row, say merge and newest_by"
        )
