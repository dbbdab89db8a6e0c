"""The schema a run has for itself: made by its first step, gone when the run ends, however it ends.

Every connection of a run holds a shared advisory lock named for the schema. Whoever can take it exclusively knows that
no process of the run is left, without clocks or heartbeats. It needs a session of its own, so no pooler by transaction.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from terrane import names
from terrane.errors import message_of
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    import psycopg

SETTINGS = {
    "idle_in_transaction_session_timeout": "15min",
    "client_connection_check_interval": "10s",
    "synchronous_commit": "off",
    # Compiling a join's expressions took 0.5 s of its 1.5 s; geometry functions are compiled already.
    "jit": "off",
    # PostGIS gives a notice for every invalid geometry it looks at.
    "client_min_messages": "warning",
}
BOOKS = """
create table _loads (
    table_name text primary key, rows bigint not null, srid integer not null, facts jsonb not null default '{}'
);
create table _derived (table_name text primary key, source text not null, rows bigint not null);
create table _tally (
    table_name text not null, outcome text not null, reason text not null default '', rows bigint not null
);
create table _balances (
    number integer generated always as identity, table_name text primary key, balance jsonb not null
);
-- Without seconds, a stage was begun and not finished.
create table _stages (stage text primary key, seconds double precision);
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Swept:
    """Schemas that were dropped, and why others could not be, by their names."""

    dropped: list[str]
    left: dict[str, str]


def schema_of(run_id: str) -> str:
    return names.current().run_schema(run_id)


def run_of(schema: str) -> str | None:
    """The run whose schema it is; None where it is no run's, or one of another environment's."""
    return names.current().run_of(schema)


def session_statements(run_id: str, minutes: int = 60) -> list[str]:
    """What a connection of the run executes first, whatever its driver: its settings, its search path and the lock."""
    schema = schema_of(run_id)
    bounded = {**SETTINGS, "statement_timeout": f"{minutes}min"}
    settings = [f"set {name} = '{value}'" for name, value in bounded.items()]
    lock = f"select pg_advisory_lock_shared(hashtextextended('{schema}', 0))"
    return [*settings, f'set search_path = "{schema}", public', lock]


@contextmanager
def connect(postgres: PostgresResource, run_id: str, minutes: int = 60) -> Iterator[psycopg.Connection]:
    """An autocommit connection of the run: in its schema, and holding its lock."""
    with postgres.connect(autocommit=True) as connection:
        for statement in session_statements(run_id, minutes):
            connection.execute(statement.encode())
        yield connection


def create(connection: psycopg.Connection, run_id: str, platform: str) -> None:
    """Makes the run's schema with its books: what was loaded, what became of the rows, the stages done.

    Args:
        platform: whose schema it is, as the ledger says; nobody else's sweeper drops it.
    """
    from psycopg import sql

    schema = schema_of(run_id)
    drop(connection, schema)
    with connection.transaction():
        connection.execute(f'create schema "{schema}"'.encode())
        mark = sql.SQL("comment on schema {} is {}").format(sql.Identifier(schema), sql.Literal(mark_of(platform)))
        connection.execute(mark)
        connection.execute(BOOKS)


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


def begin_stage(connection: psycopg.Connection, stage: str) -> None:
    connection.execute("insert into _stages (stage) values (%s)", [stage])


def finish_stage(connection: psycopg.Connection, stage: str, seconds: float) -> None:
    connection.execute(
        "insert into _stages (stage, seconds) values (%s, %s) on conflict (stage) do update set seconds = %s",
        [stage, seconds, seconds],
    )


def stages(connection: psycopg.Connection) -> dict[str, float | None]:
    """The stages begun in the run's schema, with the seconds of those that are done; none when there is no schema."""
    if connection.execute("select to_regclass('_stages')").fetchone() == (None,):
        return {}
    return dict(connection.execute("select stage, seconds from _stages").fetchall())


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


def sweep(postgres: PostgresResource, platform: str, active: Callable[[Sequence[str]], Collection[str]]) -> Swept:
    """Drops this platform's schemas of runs that have ended and of which no process is left, each by itself.

    Runs of other environments may have theirs in the same database: nobody here knows whether those are under way.

    Args:
        platform: as `create` got it.
        active: those of the runs of these ids that are under way or about to be.
    """
    swept = Swept([], {})
    with postgres.connect(autocommit=True) as connection:
        rows = connection.execute(
            "select nspname from pg_namespace where obj_description(oid, 'pg_namespace') = %s order by 1",
            [mark_of(platform)],
        ).fetchall()
        found = {run_id: schema for (schema,) in rows if (run_id := run_of(schema))}
        alive = active(list(found))
        for schema in (schema for run_id, schema in found.items() if run_id not in alive):
            try:
                if _drop_unheld(connection, schema):
                    swept.dropped.append(schema)
            except Exception as error:
                if connection.closed:
                    raise
                swept.left[schema] = message_of(error)
    return swept


def mark_of(platform: str) -> str:
    """The comment on every schema that runs of the platform make."""
    return f"a run of the platform {platform}, dropped when the run has ended"


def _drop_unheld(connection: psycopg.Connection, schema: str) -> bool:
    """Whether no process holds the schema; it is dropped then."""
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [schema]).fetchone()
    if not row or not row[0]:
        return False
    try:
        drop(connection, schema)
    finally:
        connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [schema])
    return True
