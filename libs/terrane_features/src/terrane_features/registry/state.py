"""What we keep beside Feast's tables, in their schema of the warehouse: its DDL, the applied digest, and the lock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, LiteralString

from terrane import names
from terrane.postgres import PostgresResource
from terrane_features.registry.lock import lock_name, view_lock_name

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)
LOCK_TIMEOUT_S = 1800
# Whoever waits longer says for whom, and again each time it is as long again.
TOLD_AFTER_S = 10
HOLDERS_SQL = """
    select string_agg(
        format('session %%s of %%s since %%s, now %%s', pid, coalesce(nullif(application_name, ''), usename),
               to_char(backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), state), '; ')
    from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and pid <> pg_backend_pid() and objsubid = 1
      and (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)
"""
LOCK_SQL = "select pg_advisory_lock(hashtextextended(%s, 0))"
SHARED_LOCK_SQL = "select pg_advisory_lock_shared(hashtextextended(%s, 0))"
SCHEMA_SQL = """
    create schema if not exists {feast};
    create table if not exists {feast}.applied_definitions (
        project text primary key,
        digest text not null,
        run_id text not null,
        applied_at timestamptz not null default now()
    );
    alter table {feast}.applied_definitions add column if not exists content text not null default '';
    create table if not exists {feast}.online_views (
        project text, view text, join_keys text[], fields text[] not null, primary key (project, view, join_keys)
    );
    alter table {feast}.online_views add column if not exists samples bytea[] not null default '{}';
    alter table {feast}.online_views add column if not exists keys_known bool not null default false;
    create table if not exists {feast}.online_keys (
        project text, view text, run text, part int, keys bytea not null, primary key (project, view, run, part)
    );
    create table if not exists {feast}.feature_statistics (
        project text,
        view text,
        run_id text not null,
        statistics jsonb not null,
        measured_at timestamptz not null default now(),
        primary key (project, view)
    );
"""
REMEMBER_SQL = """
    insert into {feast}.applied_definitions (project, digest, run_id, content) values (%s, %s, %s, %s)
    on conflict (project) do update
    set digest = excluded.digest, run_id = excluded.run_id, content = excluded.content, applied_at = now()
"""


class RegistryBusy(RuntimeError):
    """Another run held the registry for too long."""


def ensure_tables(connection: psycopg.Connection) -> None:
    """Makes our tables where they are missing; several may call it at once."""
    with connection.transaction():
        # Two makers of one table collide, whatever `if not exists` says.
        connection.execute(
            "select pg_advisory_xact_lock(hashtextextended(%s, 0))", [names.current().lock("terrane feast tables")]
        )
        connection.execute(names.current().sql(SCHEMA_SQL))


@contextmanager
def only_writer(warehouse: PostgresResource, project: str) -> Iterator[psycopg.Connection]:
    """A connection that holds the project's lock until the block ends: Feast's registry reads, changes and writes back
    whole records without locks, and two writers would lose one another's changes.

    Raises RegistryBusy after LOCK_TIMEOUT_S. The lock goes with the connection, so a run that dies leaves none behind.
    """
    with _locked(warehouse, project, [LOCK_SQL], [lock_name(project)]) as connection:
        yield connection


@contextmanager
def view_writer(warehouse: PostgresResource, project: str, view: str) -> Iterator[psycopg.Connection]:
    """The same for one view's rows and its record: writers of other views go on meanwhile, and nobody applies.

    Raises RegistryBusy.
    """
    locks = [lock_name(project), view_lock_name(project, view)]
    with _locked(warehouse, project, [SHARED_LOCK_SQL, LOCK_SQL], locks) as connection:
        yield connection


@contextmanager
def _locked(
    warehouse: PostgresResource, project: str, statements: list[LiteralString], locks: list[str]
) -> Iterator[psycopg.Connection]:
    import psycopg

    with warehouse.connect(autocommit=True) as connection:
        connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT_S}s'".encode())
        for statement, name in zip(statements, locks, strict=True):
            try:
                with _told(warehouse, name, project):
                    connection.execute(statement, [name])
            except psycopg.errors.LockNotAvailable as error:
                raise RegistryBusy(
                    f"another run has applied or materialised {project} for {LOCK_TIMEOUT_S} s: look for it in the UI,"
                    f" and retry when it has ended; {_holders(connection, name)}"
                ) from error
        ensure_tables(connection)
        connection.execute("set lock_timeout = 0")
        yield connection


@contextmanager
def _told(warehouse: PostgresResource, lock: str, project: str) -> Iterator[None]:
    """While the block waits for the lock, says who has it, from a thread: who leaves the queue loses its place."""
    taken = threading.Event()

    def tell() -> None:
        patience = TOLD_AFTER_S
        while not taken.wait(patience):
            try:
                with warehouse.connect(autocommit=True) as connection:
                    holders = _holders(connection, lock)
            except Exception as error:
                holders = f"who has it can't be asked: {type(error).__name__}"
            log.warning("waiting to write %s, which another applies or materialises; %s", project, holders)
            patience *= 2

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    try:
        yield
    finally:
        taken.set()
        telling.join()


def _holders(connection: psycopg.Connection, lock: str) -> str:
    row = connection.execute(HOLDERS_SQL, [lock]).fetchone()
    return f"it has {row[0]}" if row and row[0] else "nobody has it now"


def applied_digests(connection: psycopg.Connection, project: str) -> tuple[str, str] | None:
    """The digest of the files that were applied last, and that of what the registry held of them then."""
    sql = "select digest, content from {feast}.applied_definitions where project = %s"
    row = connection.execute(names.current().sql(sql), [project]).fetchone()
    return (row[0], row[1]) if row else None


def remember_digests(connection: psycopg.Connection, project: str, digest: str, content: str, run_id: str) -> None:
    connection.execute(names.current().sql(REMEMBER_SQL), [project, digest, run_id, content])


def registered_views(connection: psycopg.Connection, project: str) -> set[str]:
    """The names of the registry's feature views; none before Feast has made its tables."""
    if connection.execute(names.current().sql("select to_regclass('{feast}.feature_views')")).fetchone() == (None,):
        return set()
    sql = "select feature_view_name from {feast}.feature_views where project_id = %s"
    return {name for (name,) in connection.execute(names.current().sql(sql), [project])}
