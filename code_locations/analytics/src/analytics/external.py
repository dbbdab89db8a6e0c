"""Any source into a raw table: read from where the table ends, written whole or not at all, with what was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics.forgetting.rows import forgotten
from analytics.source.window import Row, WindowChanged
from analytics.warehouse import loading, refused, tables
from analytics.warehouse.attempts import ATTEMPTS, until_it_stands_still
from analytics.warehouse.locks import keep_others_out
from analytics.warehouse.tables import Table
from analytics.warehouse.values import Refused
from analytics.warehouse.writing import Writing, mark
from terrane.errors import Permanent, Temporary, database_errors
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    import psycopg

MOST_TOLD = 5

Refuse = Callable[[Refused], None]
# Gets the newest that the table has, and what takes rows that can't be read; returns the rows.
Read = Callable[[Any, Refuse], Iterator[list[Row]]]


@dataclass(frozen=True)
class Target:
    """A table and how it is written.

    Attributes:
        reads_on: whether the source is read from the newest on that the table has, rather than whole.
        fill_new_columns: whether a column that is new is filled in the rows that are there, by reading all once more.
    """

    table: Table
    writing: Writing
    reads_on: bool = False
    fill_new_columns: bool = False


@dataclass(frozen=True)
class Part:
    """A piece of a source that is written in one transaction: all of it, or one file.

    Attributes:
        name: empty for all of it.
        version: of the file.
    """

    read: Read
    name: str = ""
    version: str = ""


@dataclass
class Taken:
    """What became of a source's rows: those that came, of them refused and flagged as deleted, and the table's now."""

    came: int = 0
    refused: int = 0
    deleted: int = 0
    rows: int = 0
    parts: list[str] = field(default_factory=list)


def take(warehouse: PostgresResource, target: Target, parts: Callable[[], Iterable[Part]], run_id: str) -> Taken:
    """Writes what of the parts is not yet in the table. `parts` is called once the table is there.

    Costs what came, an index's last entry where it is read on, and a count of the table's rows at the end, which is the
    asset's row count and grows with the table.

    Raises:
        Temporary: the source or the warehouse is away, another run writes the table, or the pages kept changing.
        Permanent: the source refused, or too many rows are not of the columns' types. Of files, once all others are
            taken: it names those that can't be.
    """
    taken = Taken()
    with (
        database_errors(warehouse, f"writing {target.table.qualified}"),
        warehouse.connect(autocommit=True) as connection,
    ):
        added = tables.ensure(connection, target.table, fill_new_columns=target.fill_new_columns)
        if added and target.fill_new_columns:
            # Of an append, rows that are there would stay as they are.
            writing = replace(target.writing, write="merge") if target.writing.write == "append" else target.writing
            target = replace(target, reads_on=False, writing=writing)
        failed = _take_parts(connection, target, parts(), run_id, taken)
        taken.rows = loading.count(connection, target.table)
    if failed:
        told = "; ".join(f"{name}: {error}" for name, error in list(failed.items())[:MOST_TOLD])
        raise Permanent(f"{len(failed)} files could not be taken, and {len(taken.parts)} others were: {told}")
    return taken


def files_taken(warehouse: PostgresResource, table: Table) -> dict[str, str]:
    """The files that are in the table, with the version that was taken; from the ledger beside its rows.

    Costs a row of it for each file that was ever taken.
    """
    from psycopg import sql

    query = sql.SQL("select file, version from {} where table_name = %s").format(
        sql.Identifier(tables.schema(), tables.FILES)
    )
    with database_errors(warehouse, "reading which files were taken"), warehouse.connect() as connection:
        return dict(connection.execute(query, [table.name]).fetchall())


def _take_parts(
    connection: psycopg.Connection, target: Target, parts: Iterable[Part], run_id: str, taken: Taken
) -> dict[str, Permanent]:
    """Takes every part; returns why the files among them that can't be taken can't."""
    failed: dict[str, Permanent] = {}
    for part in parts:
        try:
            _take_part(connection, target, part, run_id, taken)
        except Permanent as error:
            if not part.name:
                raise
            failed[part.name] = error
    return failed


def _take_part(connection: psycopg.Connection, target: Target, part: Part, run_id: str, taken: Taken) -> None:
    def gave_up(change: WindowChanged) -> Temporary:
        told = f"what {target.table.qualified} is read from did not stand still in {ATTEMPTS} readings: {change}"
        return Temporary(f"{told}. Nothing of it was written")

    came, refused_rows, deleted = until_it_stands_still(
        connection, lambda: _write(connection, target, part, run_id), gave_up
    )
    taken.came, taken.refused, taken.deleted = taken.came + came, taken.refused + refused_rows, taken.deleted + deleted
    taken.parts.append(part.name)


def _write(connection: psycopg.Connection, target: Target, part: Part, run_id: str) -> tuple[int, int, int]:
    table, rejected, came = target.table, list[Refused](), 0
    keep_others_out(connection, table)
    deleted = 0
    writing = target.writing.merge()

    def merge(connection: psycopg.Connection, table: Table) -> int:
        nonlocal came, deleted
        came = loading.count_incoming(connection)
        refused.raise_when_too_many(table, came, rejected)
        keep = refused.keep_of_all if target.writing.write == "replace" else refused.keep_of_rows
        keep(connection, table, datetime.now(UTC).date(), rejected, run_id)
        written = writing(connection, table)
        deleted = target.writing.delete_flagged(connection, table)
        return written

    since = mark(connection, table) if target.reads_on else None
    pages = part.read(since, rejected.append)
    loading.load(connection, table, pages, merge, rejected.append, forgotten(connection, table))
    if part.name:
        _record(connection, table, part, came, run_id)
    return came, len(rejected), deleted


def _record(connection: psycopg.Connection, table: Table, part: Part, rows: int, run_id: str) -> None:
    from psycopg import sql

    connection.execute(
        sql.SQL(
            "insert into {} (table_name, file, version, rows, run_id) values (%s, %s, %s, %s, %s) "
            "on conflict (table_name, file) do update set version = excluded.version, rows = excluded.rows, "
            "run_id = excluded.run_id, ingested_at = now()"
        ).format(sql.Identifier(tables.schema(), tables.FILES)),
        [table.name, part.name, part.version, rows, run_id],
    )


def chained(reads: Sequence[Read]) -> Read:
    """Several pieces as one."""

    def read(since: Any, refuse: Refuse) -> Iterator[list[Row]]:
        for each in reads:
            yield from each(since, refuse)

    return read
