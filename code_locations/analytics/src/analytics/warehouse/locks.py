"""What keeps two runs apart that write the same rows: a lock of the transaction, waited for within a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.warehouse.tables import Table
from terrane import names
from terrane.errors import Temporary

if TYPE_CHECKING:
    import psycopg

# A day is written in seconds; who waits longer is told, and tried again by the step's retries.
WAIT_S = 60.0


def keep_others_out(connection: psycopg.Connection, table: Table, of: str = "") -> None:
    """Until the transaction's end no other run writes the same: a day of the table, or all of it where `of` is empty.

    Raises Temporary when another run still does after a minute.
    """
    import psycopg

    what = f"{of} of {table.qualified}" if of else table.qualified
    connection.execute("select set_config('lock_timeout', %s, true)", [f"{int(WAIT_S * 1000)}ms"])
    try:
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [_name(table, of)])
    except psycopg.errors.LockNotAvailable:
        raise Temporary(
            f"another run is writing {what}, and still was after {WAIT_S:g} s; nothing of it was written here. It is "
            "tried again; where no run is under way, look in pg_stat_activity who holds the lock"
        ) from None
    connection.execute("select set_config('lock_timeout', '0', true)")


def _name(table: Table, of: str) -> str:
    return names.current().lock(f"terrane writes {table.name} {of}")
