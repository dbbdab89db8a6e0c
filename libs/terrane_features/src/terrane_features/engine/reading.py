"""Rows out of Postgres as Arrow batches, by COPY, from one snapshot where the caller has one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from terrane.errors import Permanent, is_temporary, is_temporary_text, message_of
from terrane.store_advice import says_refused
from terrane_features.materialize.snapshot import Source, names, type_name
from terrane_features.registry.lock import lock_name, view_lock_name

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

# 16,384 rows of 300 bytes are 5 MB as commands: enough to keep Redis busy while the next ones are encoded.
BATCH_ROWS = 16_384
BATCH_BYTES = 4 << 20
# For sorting away older rows of an entity; Postgres' default of 4 MB doubles the time at a million rows.
WORK_MEM = "64MB"
UNIQUE_SQL = """
    select array_agg(a.attname::text) from pg_index i join pg_attribute a on a.attrelid = i.indrelid
    and a.attnum = any(i.indkey) where i.indrelid = to_regclass(%s) and i.indisunique and i.indisvalid
    and i.indpred is null and i.indexprs is null and i.indnkeyatts = i.indnatts group by i.indexrelid
"""

_snapshot: ContextVar[str | None] = ContextVar("snapshot", default=None)


@contextmanager
def snapshot(name: str) -> Iterator[None]:
    """Lets every read inside the block see the database as `pg_export_snapshot()` named it.

    Whoever has a snapshot to give is the only writer already: inside, the engine does not ask for the lock.
    """
    token = _snapshot.set(name)
    try:
        yield
    finally:
        _snapshot.reset(token)


def wait_for_other_writers(connection: psycopg.Connection, project: str, view: str) -> None:
    """Holds the view's lock until the connection's transaction ends; not where the caller of all this has it."""
    if _snapshot.get() is not None:
        return
    connection.execute("set local idle_in_transaction_session_timeout = 0")
    connection.execute("select pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [lock_name(project)])
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [view_lock_name(project, view)])


def column_types(connection: psycopg.Connection, source: Source) -> dict[str, str]:
    """Postgres' names (`int8`, `_text`) of the source's columns' types. Raises psycopg.Error for a missing column."""
    from psycopg import sql

    columns = [*source.keys, *source.features, source.time]
    query = sql.SQL("select {} from {} as t limit 0").format(names(columns), source.named())
    description = connection.execute(query).description or []
    return {column.name: type_name(connection, column.type_code) for column in description}


def is_unique(connection: psycopg.Connection, source: Source) -> bool:
    """Whether an index sees to it that no two rows of the table have the same join keys."""
    if source.relation.startswith("("):
        return False
    found = connection.execute(UNIQUE_SQL, [source.relation]).fetchall()
    return any(set(columns) <= set(source.keys) for (columns,) in found)


def batches(
    conninfo: str, query: str, settings: Mapping[str, str], name: str | None = None
) -> Iterator[pa.RecordBatch]:
    """The query's rows, at most BATCH_ROWS at a time.

    Args:
        conninfo: libpq's connection string; with a password, so never for a log.
        settings: of the session.
        name: the snapshot to read, `current_snapshot()` of the caller's thread.

    Raises psycopg.OperationalError for what the connection fails by, whatever the driver calls it, and Permanent for a
    value or a statement that Postgres or Arrow refuses.
    """
    import psycopg
    import pyarrow as pa
    from adbc_driver_postgresql import dbapi

    try:
        yield from _batches(conninfo, query, settings, name)
    except (dbapi.Error, pa.ArrowException, OSError) as error:
        if is_temporary(error) or is_temporary_text(str(error)) or says_refused(str(error)):
            raise psycopg.OperationalError(str(error)) from error
        raise Permanent(f"the table can't be read as the view declares it: {message_of(error)}") from error


def _batches(conninfo: str, query: str, settings: Mapping[str, str], name: str | None) -> Iterator[pa.RecordBatch]:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(conninfo) as connection, connection.cursor() as cursor:
        if name:
            cursor.execute("set transaction isolation level repeatable read read only")
            cursor.execute(f"set transaction snapshot '{name}'")
        for setting, value in settings.items():
            cursor.execute("select set_config($1, $2, true)", (setting, value))
            cursor.fetchall()
        cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
        cursor.execute(query)
        for batch in cursor.fetch_record_batch():
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


def current_snapshot() -> str | None:
    return _snapshot.get()
