"""The schema a run has for itself: made by its first step, gone when the run ends, however it ends.

Every connection of a run holds a shared advisory lock named for the schema. Whoever can take it exclusively knows that
no process of the run is left, without clocks or heartbeats. It needs a session of its own, so no pooler by transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from terrane import names
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    import psycopg

SETTINGS = {
    "statement_timeout": "60min",
    "idle_in_transaction_session_timeout": "15min",
    "client_connection_check_interval": "10s",
    "synchronous_commit": "off",
    # Compiling a join's expressions took 0.5 s of its 1.5 s; geometry functions are compiled already.
    "jit": "off",
    # PostGIS gives a notice for every invalid geometry it looks at.
    "client_min_messages": "warning",
}
BOOKS = """
create table _batch (batch_id text not null);
create table _loads (
    table_name text primary key, rows bigint not null, srid integer not null, facts jsonb not null default '{}'
);
create table _derived (table_name text primary key, source text not null, rows bigint not null);
create table _tally (
    table_name text not null, outcome text not null, reason text not null default '', rows bigint not null
);
create table _stages (stage text primary key, seconds double precision not null);
"""

log = logging.getLogger(__name__)


def schema_of(run_id: str) -> str:
    return names.current().run_schema(run_id)


def run_of(schema: str) -> str | None:
    """The run whose schema it is; None where it is no run's, or one of another environment's."""
    return names.current().run_of(schema)


def session_statements(run_id: str) -> list[str]:
    """What a connection of the run executes first, whatever its driver: its settings, its search path and the lock."""
    schema = schema_of(run_id)
    settings = [f"set {name} = '{value}'" for name, value in SETTINGS.items()]
    lock = f"select pg_advisory_lock_shared(hashtextextended('{schema}', 0))"
    return [*settings, f'set search_path = "{schema}", public', lock]


@contextmanager
def connect(postgres: PostgresResource, run_id: str) -> Iterator[psycopg.Connection]:
    """An autocommit connection of the run: in its schema, and holding its lock."""
    with postgres.connect(autocommit=True) as connection:
        for statement in session_statements(run_id):
            connection.execute(statement.encode())
        yield connection


def create(connection: psycopg.Connection, run_id: str, batch_id: str) -> None:
    """Makes the run's schema with its books: which batch, what was loaded, what became of the rows, the stages done."""
    schema = schema_of(run_id)
    drop(connection, schema)
    with connection.transaction():
        connection.execute(f'create schema "{schema}"'.encode())
        connection.execute(BOOKS)
        connection.execute("insert into _batch (batch_id) values (%s)", [batch_id])


def drop(connection: psycopg.Connection, schema: str) -> None:
    """Drops the schema, a table at a time: all in one transaction could need more locks than the server has."""
    from psycopg import sql

    tables = connection.execute("select tablename from pg_tables where schemaname = %s", [schema]).fetchall()
    for (table,) in tables:
        connection.execute(sql.SQL("drop table if exists {} cascade").format(sql.Identifier(schema, table)))
    connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))


def drop_quietly(postgres: PostgresResource, run_id: str) -> bool:
    """Drops the run's schema on a way out that has an error of its own; the sweeper gets what is left."""
    try:
        with postgres.connect(autocommit=True) as connection:
            drop(connection, schema_of(run_id))
    except Exception as error:
        log.warning("Schema %s is left for the sweeper: %s", schema_of(run_id), error)
        return False
    return True


def finish_stage(connection: psycopg.Connection, stage: str, seconds: float) -> None:
    connection.execute("insert into _stages (stage, seconds) values (%s, %s)", [stage, seconds])


def finished_stages(connection: psycopg.Connection) -> dict[str, float]:
    """The stages done in the run's schema, with the seconds they took; none when there is no such schema."""
    if connection.execute("select to_regclass('_stages')").fetchone() == (None,):
        return {}
    return dict(connection.execute("select stage, seconds from _stages").fetchall())


def batch_of(connection: psycopg.Connection) -> str | None:
    """The batch the run's schema is for; None when there is no such schema."""
    if connection.execute("select to_regclass('_batch')").fetchone() == (None,):
        return None
    row = connection.execute("select batch_id from _batch").fetchone()
    return row[0] if row else None


def loads(connection: psycopg.Connection) -> dict[str, dict[str, Any]]:
    """What was met while each table was loaded, with its rows and SRID."""
    rows = connection.execute("select table_name, rows, srid, facts from _loads order by 1").fetchall()
    return {table: {"rows": number, "srid": srid, **facts} for table, number, srid, facts in rows}


def tally(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """What the SQL steps said became of rows: table, outcome, reason, rows."""
    rows: Sequence[Any] = connection.execute(
        "select table_name, outcome, reason, sum(rows)::bigint from _tally "
        "where rows > 0 group by 1, 2, 3 order by 1, 2, 3"
    ).fetchall()
    return [dict(zip(("table", "outcome", "reason", "rows"), row, strict=True)) for row in rows]


def sweep(postgres: PostgresResource, is_active: Callable[[str], bool]) -> list[str]:
    """Drops the schemas of runs that have ended and of which no process is left; returns their names.

    Runs of other environments may have theirs in the same database: nobody here knows whether those are under way.

    Args:
        is_active: whether the run of that id is under way or about to be.
    """
    swept = []
    with postgres.connect(autocommit=True) as connection:
        found = connection.execute("select nspname from pg_namespace order by 1").fetchall()
        for schema, run_id in ((schema, run_of(schema)) for (schema,) in found):
            if run_id is None or is_active(run_id) or not _try_lock(connection, schema):
                continue
            try:
                drop(connection, schema)
                swept.append(schema)
            finally:
                connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [schema])
    return swept


def _try_lock(connection: psycopg.Connection, schema: str) -> bool:
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [schema]).fetchone()
    return bool(row and row[0])
