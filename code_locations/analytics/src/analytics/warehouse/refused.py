"""Rows that were refused while the others were taken: kept in `raw.rejected` as they came, and bounded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from analytics.warehouse import tables
from analytics.warehouse.loading import INCOMING
from analytics.warehouse.tables import REJECTED, Table
from analytics.warehouse.values import Refused
from terrane.errors import Permanent

if TYPE_CHECKING:
    import psycopg

# Rows that may be refused while the others are taken: more means that the source's form has changed.
MOST_REFUSED, MOST_REFUSED_SHARE = 10, 0.01


def raise_when_too_many(table: Table, rows: int, refused: Sequence[Refused], of: str = "") -> None:
    """Raises Permanent when more is refused than a slip here and there."""
    came = rows + len(refused)
    if len(refused) <= max(MOST_REFUSED, MOST_REFUSED_SHARE * came):
        return
    first = refused[0]
    raise Permanent(
        f"{len(refused)} of {came} rows{of and f' of {of}'} for {table.qualified} are not of their columns' "
        f"types, first row {first.row_id}: {first.column} {first.reason}. Nothing of {'the day' if of else 'it'} was "
        "written; the source's form has changed, adapt the table's columns in defs.yaml"
    )


def keep_of_day(
    connection: psycopg.Connection, table: Table, day: date, refused: Sequence[Refused], run_id: str
) -> None:
    """Makes what is kept of the day what was refused of it now."""
    from psycopg import sql

    statement = sql.SQL("delete from {} where table_name = %s and day = %s").format(_rejected())
    connection.execute(statement, [table.name, day])
    _insert(connection, table, day, refused, run_id)


def keep_of_all(
    connection: psycopg.Connection, table: Table, day: date, refused: Sequence[Refused], run_id: str
) -> None:
    """Makes what is kept of the table what was refused now, of a source that was read whole."""
    from psycopg import sql

    connection.execute(sql.SQL("delete from {} where table_name = %s").format(_rejected()), [table.name])
    _insert(connection, table, day, refused, run_id)


def keep_of_rows(
    connection: psycopg.Connection, table: Table, day: date, refused: Sequence[Refused], run_id: str
) -> None:
    """Adds what was refused now; of rows that came again, taken or not, what was kept before goes."""
    from psycopg import sql

    statement = sql.SQL(
        "delete from {} where table_name = %s and (row_id = any(%s) or row_id in (select {}::text from {}))"
    ).format(_rejected(), sql.Identifier(table.key), sql.Identifier(INCOMING))
    connection.execute(statement, [table.name, [_row_id(each) for each in refused]])
    _insert(connection, table, day, refused, run_id)


def _rejected():
    from psycopg import sql

    return sql.Identifier(tables.schema(), REJECTED)


def _row_id(refused: Refused) -> str:
    return refused.row_id.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")


def _insert(connection: psycopg.Connection, table: Table, day: date, refused: Sequence[Refused], run_id: str) -> None:
    from psycopg import sql

    statement = sql.SQL(
        "insert into {} (table_name, day, row_id, column_name, reason, content, run_id) "
        "values (%s, %s, %s, %s, %s, %s, %s)"
    ).format(_rejected())
    with connection.cursor() as cursor:
        cursor.executemany(
            statement,
            [
                [table.name, day, _row_id(each), each.column, each.reason, json.dumps(each.row, default=str), run_id]
                for each in refused
            ],
        )
