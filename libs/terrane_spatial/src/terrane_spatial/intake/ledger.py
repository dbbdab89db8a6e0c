"""The ledger: what became of every batch that was ever seen, in a database of its own.

It is what makes the sensor one-shot, and the place to ask for a batch: its manifest as accepted, its state, its run,
its counts. Batches are `accepted`, then `published`, `rejected`, `failed` or `quarantined`; what is published stays
published.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from terrane import names
from terrane.postgres import PostgresResource
from terrane_spatial.intake import declared
from terrane_spatial.intake.declared import Elsewhere

if TYPE_CHECKING:
    import psycopg

LOCK = "terrane ledger"
SCHEMA = """
create schema if not exists {ledger};
create table if not exists {ledger}.batches (
    batch_id text primary key,
    dataset text,
    manifest text not null,
    manifest_sha256 text not null,
    manifest_etag text,
    state text not null check (state in ('accepted', 'published', 'rejected', 'failed', 'quarantined')),
    reasons jsonb not null default '[]',
    run_id text,
    counts jsonb,
    commit_key text,
    seen_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz
);
create index if not exists batches_run_id on {ledger}.batches (run_id);
create table if not exists {ledger}.changes (number integer primary key, made_at timestamptz not null default now());
"""


@dataclass(frozen=True)
class Batch:
    """A batch as the ledger has it.

    Attributes:
        manifest: the manifest's text at the time it was first seen.
        landed_at: when the manifest was written, as the object store has it.
    """

    batch_id: str
    dataset: str | None
    manifest: str
    manifest_sha256: str
    manifest_etag: str | None
    state: str
    reasons: list[str]
    run_id: str | None
    landed_at: datetime


@dataclass(frozen=True)
class Arrival:
    """A manifest that is seen for the first time: its text, SHA-256, ETag, and when it was written."""

    batch_id: str
    manifest: str
    sha256: str
    etag: str | None
    landed_at: datetime


# What a ledger made by an earlier release lacks, in order; a release adds to the end.
CHANGES = (
    """
    alter table {ledger}.batches drop constraint batches_state_check;
    alter table {ledger}.batches add constraint batches_state_check
        check (state in ('accepted', 'published', 'rejected', 'failed', 'quarantined'));
    """,
    """
    alter table {ledger}.batches add column reported_at timestamptz;
    update {ledger}.batches set reported_at = seen_at;
    create index batches_unreported on {ledger}.batches (seen_at) where reported_at is null and dataset is not null;
    create index batches_waiting on {ledger}.batches (dataset, seen_at) where state = 'accepted' and run_id is null;
    create table {ledger}.put_off (
        key text primary key,
        etag text,
        tries integer not null,
        next_try_at timestamptz,
        reason text not null
    );
    """,
    """
    create table {ledger}.platform (id uuid not null default gen_random_uuid());
    create unique index platform_one_row on {ledger}.platform ((true));
    insert into {ledger}.platform default values;
    alter table {ledger}.batches add column landed_at timestamptz;
    update {ledger}.batches set landed_at = seen_at;
    alter table {ledger}.batches alter column landed_at set default now();
    alter table {ledger}.batches alter column landed_at set not null;
    drop index if exists {ledger}.batches_waiting;
    create index batches_waiting on {ledger}.batches (dataset, landed_at, batch_id)
        where state = 'accepted' and run_id is null;
    """,
    declared.TABLES,
    "alter table {ledger}.batches add column crashed_run_id text;",
)
# Between tries of a manifest that could not be decided; after the last it is set aside.
BACK_OFF_S = (10, 60, 300, 1800)
COLUMNS = ", ".join(Batch.__dataclass_fields__)


class Ledger:
    """The ledger on an open autocommit connection; every call is a transaction, unless it is made in one."""

    def __init__(self, connection: psycopg.Connection):
        self._connection = connection

    def ensure_schema(self) -> None:
        """Makes the tables when there are none, and brings those of an earlier release up to this one."""
        if self._changes_made() == len(CHANGES):
            return
        with self._connection.transaction():
            self._execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [names.current().lock(LOCK)])
            self._execute(SCHEMA)
            made = self._changes_made()
            for number, change in list(enumerate(CHANGES, start=1))[made:]:
                self._execute(change)
                self._execute("insert into {ledger}.changes (number) values (%s)", [number])

    def transaction(self) -> AbstractContextManager[object]:
        """What is done within is done together or not at all; one within another is a savepoint of it."""
        return self._connection.transaction()

    def _execute(self, statement: str, values: Sequence[Any] | None = None) -> psycopg.Cursor[Any]:
        return self._connection.execute(names.current().sql(statement), values)

    def _changes_made(self) -> int:
        if self._execute("select to_regclass('{ledger}.changes')").fetchone() == (None,):
            return 0
        row = self._execute("select count(*) from {ledger}.changes").fetchone()
        return row[0] if row else 0

    def known(self, batch_ids: Sequence[str]) -> dict[str, Batch]:
        """Those of the batches that were seen before."""
        found = self._batches("where batch_id = any(%s)", [[b.replace("\0", "") for b in batch_ids]])
        return {batch.batch_id: batch for batch in found}

    def get(self, batch_id: str) -> Batch | None:
        return self._batch("where batch_id = %s", [batch_id])

    def platform(self) -> str:
        """What this platform marks as its own on a server that others may use too."""
        row = self._execute("select id from {ledger}.platform").fetchone()
        assert row, "a change of the ledger makes the one row"
        return str(row[0])

    def waiting(self, dataset: str, at_most: int) -> list[Batch]:
        """The dataset's accepted batches that no run is known for, oldest first."""
        return self._batches(
            "where dataset = %s and state = 'accepted' and run_id is null order by landed_at, batch_id limit %s",
            [dataset, at_most],
        )

    def unreported(self, datasets: Collection[str]) -> list[Batch]:
        """Accepted batches of the datasets that nobody was told of, oldest first, at most a thousand."""
        where = "where reported_at is null and dataset = any(%s) order by seen_at limit 1000"
        return self._batches(where, [sorted(datasets)])

    def reported(self, batch_ids: Sequence[str]) -> None:
        """It was told that the batches landed."""
        self._execute("update {ledger}.batches set reported_at = now() where batch_id = any(%s)", [list(batch_ids)])

    def put_off(self, keys: Sequence[str]) -> dict[str, str | None]:
        """Those of the manifests that are not due yet, or were set aside, with the ETag they had."""
        found = self._execute(
            "select key, etag from {ledger}.put_off "
            "where key = any(%s) and (next_try_at is null or next_try_at > now())",
            [list(keys)],
        )
        return dict(found.fetchall())

    def put_off_again(self, key: str, etag: str | None, reason: str) -> bool:
        """Notes that the manifest could not be decided; returns whether it is set aside for that.

        One that was written anew begins again.
        """
        done = self._execute(
            "insert into {ledger}.put_off as p (key, etag, tries, reason) values (%s, %s, 1, %s) "
            "on conflict (key) do update set "
            "tries = case when p.etag is distinct from excluded.etag then 1 else p.tries + 1 end, "
            "etag = excluded.etag, reason = excluded.reason returning tries",
            [key, etag, reason],
        ).fetchone()
        tries = done[0] if done else 1
        wait = BACK_OFF_S[tries - 1] if tries <= len(BACK_OFF_S) else None
        self._execute(
            "update {ledger}.put_off set next_try_at = now() + make_interval(secs => %s) where key = %s", [wait, key]
        )
        return wait is None

    def decided(self, keys: Sequence[str]) -> None:
        """Nothing stands against deciding these manifests any more."""
        self._execute("delete from {ledger}.put_off where key = any(%s)", [list(keys)])
        declared.forget(self._execute, keys)

    def declare(self, location: str, datasets: Collection[str]) -> set[str]:
        """Those of the datasets whose manifests are this location's to decide, from now on."""
        return declared.declare(self._execute, location, datasets)

    def elsewhere(self, keys: Sequence[str]) -> dict[str, Elsewhere]:
        """Those of the manifests that are known to be of a dataset that some location did not declare."""
        return declared.elsewhere(self._execute, keys)

    def note_elsewhere(self, key: str, etag: str | None, dataset: str) -> Elsewhere:
        """The manifest is of a dataset that the location that looks does not declare."""
        return declared.note(self._execute, key, etag, dataset)

    def running(self) -> list[Batch]:
        """Accepted batches that have a run, and of which the ledger knows no end."""
        return self._batches("where state = 'accepted' and run_id is not null order by seen_at", [])

    def accept(self, arrival: Arrival, dataset: str) -> bool:
        """Whether the batch is new; it is accepted then."""
        return self._insert(arrival, dataset, "accepted", [])

    def reject_manifest(self, arrival: Arrival, reasons: list[str]) -> bool:
        """Whether the batch is new; it is rejected then, before any run."""
        return self._insert(arrival, None, "rejected", reasons)

    def looked_again(self, batch_id: str, etag: str | None, reasons: Sequence[str] = ()) -> None:
        """Notes that the batch's manifest was written again, and what is to be said against its new content."""
        self._execute(
            "update {ledger}.batches set manifest_etag = %s, reasons = reasons || %s::jsonb where batch_id = %s",
            [etag, json.dumps(list(reasons)), batch_id],
        )

    def assign(self, batch_id: str, run_id: str) -> None:
        """A run for the batch exists, though it has not begun."""
        self._execute(
            "update {ledger}.batches set run_id = %s where batch_id = %s and run_id is null", [run_id, batch_id]
        )

    def begin(self, batch_id: str, run_id: str) -> None:
        """A run begins to work on the batch. What is published stays so."""
        self._execute(
            "update {ledger}.batches set run_id = %s, started_at = now(), finished_at = null, "
            "state = 'accepted', reasons = '[]' where batch_id = %s and state in ('accepted', 'failed', 'quarantined')",
            [run_id, batch_id],
        )

    def crashed(self, batch_id: str, run_id: str) -> str:
        """Notes that a file of the batch ended the process that read it; returns the first run in which that was so."""
        row = self._execute(
            "update {ledger}.batches set crashed_run_id = coalesce(crashed_run_id, %s) where batch_id = %s "
            "returning crashed_run_id",
            [run_id, batch_id],
        ).fetchone()
        return row[0] if row else run_id

    def publish(self, batch_id: str, run_id: str, counts: Mapping[str, Any], commit_key: str) -> None:
        self._execute(
            "update {ledger}.batches set state = 'published', run_id = %s, counts = %s, commit_key = %s, "
            "reasons = '[]', finished_at = now() where batch_id = %s and state <> 'published'",
            [run_id, json.dumps(counts), commit_key, batch_id],
        )

    def end_of_run(self, run_id: str, batch_id: str, datasets: Sequence[str], reason: str) -> bool:
        """Whether the run left its batch open; it `failed` then.

        Args:
            datasets: the run's; of a batch that no run is known for yet, the run has to be for its dataset.
        """
        done = self._execute(
            "update {ledger}.batches set state = 'failed', reasons = %s, run_id = %s, finished_at = now() "
            "where batch_id = %s and state = 'accepted' "
            "and (run_id = %s or (run_id is null and dataset = any(%s)))",
            [json.dumps([reason]), run_id, batch_id, run_id, list(datasets)],
        )
        return done.rowcount == 1

    def oldest_published(self, dataset: str) -> datetime | None:
        """When the first of the dataset's batches that are published was seen."""
        row = self._execute(
            "select min(seen_at) from {ledger}.batches where dataset = %s and state = 'published'", [dataset]
        ).fetchone()
        return row[0] if row else None

    def ended_before(self, dataset: str, moment: datetime) -> list[str]:
        """Batches seen before that moment that failed, were rejected or quarantined."""
        rows = self._execute(
            "select batch_id from {ledger}.batches where dataset = %s and seen_at < %s "
            "and state in ('failed', 'rejected', 'quarantined') order by seen_at",
            [dataset, moment],
        ).fetchall()
        return [batch_id for (batch_id,) in rows]

    def forget(self, batch_id: str) -> None:
        """The batch is gone, as if it had never been: its batch_id may come again."""
        self._execute("delete from {ledger}.batches where batch_id = %s", [batch_id])

    def end(self, batch_id: str, state: str, reasons: Sequence[str]) -> None:
        """The batch was `rejected`, `failed` or `quarantined` in its run. What is published stays so."""
        self._execute(
            "update {ledger}.batches set state = %s, reasons = %s, finished_at = now() "
            "where batch_id = %s and state in ('accepted', 'failed')",
            [state, json.dumps(list(reasons)), batch_id],
        )

    def _insert(self, arrival: Arrival, dataset: str | None, state: str, reasons: list[str]) -> bool:
        text = arrival.manifest.replace("\0", "\ufffd")
        values = [arrival.batch_id, dataset, text, arrival.sha256, arrival.etag, arrival.landed_at]
        done = self._execute(
            "insert into {ledger}.batches "
            "(batch_id, dataset, manifest, manifest_sha256, manifest_etag, landed_at, state, reasons) "
            "values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            [*values, state, json.dumps(reasons)],
        )
        return done.rowcount == 1

    def _batch(self, where: str, values: list[Any]) -> Batch | None:
        return next(iter(self._batches(f"{where} limit 1", values)), None)

    def _batches(self, where: str, values: list[Any]) -> list[Batch]:
        query = f"select {COLUMNS} from {{ledger}}.batches {where}"  # noqa: S608
        return [Batch(*row) for row in self._execute(query, values)]


class LedgerResource(PostgresResource):
    """Opens the ledger, in a database of PostGIS' server that is the ledger's own."""

    @contextmanager
    def open(self) -> Iterator[Ledger]:
        """The ledger, its table made when missing."""
        with self.connect(autocommit=True) as connection:
            ledger = Ledger(connection)
            ledger.ensure_schema()
            yield ledger
