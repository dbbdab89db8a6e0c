"""Which location takes which dataset's manifests, where several locations share a landing zone.

A manifest belongs to the location that declares its dataset; no other accepts or rejects it. Every location says at
each look which datasets it declares. A manifest whose dataset no location ever declared waits, with a note beside it
that says so, for `PATIENCE` from the day it was first seen; whichever location looks next then rejects it. One whose
dataset was declared once, by a location that is stopped or does not load it today, waits for as long as that takes:
that it is not there is no fault of the producer.

A look costs one query for all manifests that lie in the landing zone, and reads each manifest of another location once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    # The ledger's own, which knows its schema.
    Execute = Callable[[str, list[Any]], psycopg.Cursor]

TABLES = """
create table {ledger}.datasets (
    dataset text primary key,
    location text not null,
    declared_at timestamptz not null default now()
);
create table {ledger}.elsewhere (
    key text primary key,
    etag text,
    dataset text not null,
    since timestamptz not null default now()
);
"""
PATIENCE = timedelta(days=7)
# A location whose sensor said nothing for so long is not running; it looks every 5 s.
SILENCE = timedelta(minutes=10)
# How often what is declared is written anew.
RENEWAL = timedelta(minutes=1)


@dataclass(frozen=True)
class Elsewhere:
    """A manifest of a dataset that this location does not declare.

    Attributes:
        since: when it was first seen with this content.
        location: that declares the dataset, or did so once.
        running: whether that location declares it now.
    """

    key: str
    etag: str | None
    dataset: str
    since: datetime
    location: str | None
    running: bool

    @property
    def is_refused(self) -> bool:
        """Whether it has waited long enough for a dataset that nobody ever declared."""
        return self.location is None and datetime.now(UTC) - self.since > PATIENCE

    @property
    def reason(self) -> str:
        """Why it waits, for people; of one that is refused, why it is."""
        if self.is_refused:
            return (
                f"dataset: there is no dataset {self.dataset!r}: no location declared it in {PATIENCE.days} days from "
                f"{self.since:%Y-%m-%d %H:%M} UTC"
            )
        if self.location:
            return f"dataset: {self.dataset} is declared by the location {self.location}, which is not running it now"
        until = self.since + PATIENCE
        return (
            f"dataset: no location declares {self.dataset!r} yet; this manifest waits for one until "
            f"{until:%Y-%m-%d %H:%M} UTC, and is rejected then"
        )


def declare(execute: Execute, location: str, datasets: Collection[str]) -> set[str]:
    """Says that the location declares these datasets; returns those that it has to itself.

    A dataset that another running location declares stays with that one.
    """
    named = sorted(datasets)
    renewed = execute(
        "insert into {ledger}.datasets as d (dataset, location) select unnest(%s::text[]), %s "
        "on conflict (dataset) do update set location = excluded.location, declared_at = now() "
        "where (d.location = excluded.location and d.declared_at < now() - %s) or d.declared_at < now() - %s",
        [named, location, RENEWAL, SILENCE],
    ).rowcount
    if renewed:
        execute("delete from {ledger}.elsewhere where since < now() - %s * 10", [PATIENCE])
    kept = execute("select dataset from {ledger}.datasets where dataset = any(%s) and location = %s", [named, location])
    return {dataset for (dataset,) in kept}


def elsewhere(execute: Execute, keys: Sequence[str]) -> dict[str, Elsewhere]:
    """Those of the manifests that were seen to be of a dataset which the location that looked does not declare."""
    found = execute(
        "select e.key, e.etag, e.dataset, e.since, d.location, coalesce(d.declared_at > now() - %s, false) "
        "from {ledger}.elsewhere e left join {ledger}.datasets d using (dataset) where e.key = any(%s)",
        [SILENCE, list(keys)],
    )
    return {row[0]: Elsewhere(*row) for row in found}


def note(execute: Execute, key: str, etag: str | None, dataset: str) -> Elsewhere:
    """Notes that the manifest is of such a dataset. One that was written anew begins to wait again."""
    execute(
        "insert into {ledger}.elsewhere as e (key, etag, dataset) values (%s, %s, %s) on conflict (key) do update set "
        "etag = excluded.etag, dataset = excluded.dataset, since = now() where e.etag is distinct from excluded.etag",
        [key, etag, dataset],
    )
    return elsewhere(execute, [key])[key]


def forget(execute: Execute, keys: Sequence[str]) -> None:
    """These manifests are decided, by whomever."""
    execute("delete from {ledger}.elsewhere where key = any(%s)", [list(keys)])


def is_left(seen: Mapping[str, Elsewhere], key: str, etag: str | None, own: Collection[str]) -> bool:
    """Whether the manifest needs no look: it was read, is not for this location, and is not to be refused yet."""
    found = seen.get(key)
    return found is not None and found.etag == etag and found.dataset not in own and not found.is_refused
