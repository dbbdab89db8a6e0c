"""The whole of an asset online/<view>: a table of gold becomes hashes in Redis, and nothing else stays of the view.

The window is the whole table up to the warehouse's clock, whatever was materialised before: a row committed late, or
corrected without a newer event time, would never be in an incremental one. Rows, counts and keys are read from one
snapshot of the warehouse. What the table no longer has is counted before anything is written, and removed afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from terrane.postgres import PostgresResource
from terrane_features.feast_internals import keep_newest_intervals
from terrane_features.materialize.snapshot import Source, Window, one_snapshot, read_window
from terrane_features.online_store import rows as online_rows
from terrane_features.online_store import written as online_state
from terrane_features.online_store.rows import TableKeys
from terrane_features.registry.state import only_writer, registered_views
from terrane_features.repository.model import FeatureView
from terrane_features.repository.table_schema import check_views
from terrane_features.resources import FeastResource

if TYPE_CHECKING:
    import numpy as np
    import psycopg
    from feast import FeatureStore

    from terrane_features.engine.writing import Written

# A run that would remove more than this share of a view's entities is refused unless somebody allows it.
MOST_REMOVED = 0.5


class NotRegistered(RuntimeError):
    """The view is in no registry yet."""


class MassDeletionRefused(RuntimeError):
    """A table lost so many of its entities that somebody has to say that this is meant."""


@dataclass(frozen=True)
class Materialized:
    """What a run did.

    Attributes:
        entities: different ones in the window; more rows than entities means that some repeat.
        keys: rows of the window whose entity has a row of the view in Redis now.
        removed: entities that had one and have none any more.
        removed_fields: features that the view no longer has, whose values were removed.
        engine: what our engine read, wrote, skipped and sent; None when it left the writing to Feast's own.
        write_seconds, seconds: for the writing alone, and for all of it.
    """

    window: Window
    entities: int
    keys: int
    removed: int
    removed_fields: tuple[str, ...]
    engine: Written | None
    write_seconds: float
    seconds: float


def materialize(
    feast: FeastResource,
    warehouse: PostgresResource,
    name: str,
    *,
    allow_mass_deletion: bool = False,
    inspect: Callable[[psycopg.Connection, Window], None] | None = None,
) -> Materialized:
    """Writes every row of the view's table to Redis, and removes the rows and fields that the table no longer has.

    Args:
        inspect: looks at the table in the snapshot that is written, before anything is; what it raises stops the run.

    Raises ColumnsDoNotFit, NotRegistered, KeyNotSupported or MassDeletionRefused before anything is written,
    psycopg.OperationalError or redis.RedisError when a store goes away. Whatever was written by then stays, and is what
    the next run writes again.
    """
    began = time.monotonic()
    repository = feast.repository()
    view, project = repository.view(name), repository.project
    with only_writer(warehouse, project) as connection:
        check_views(connection, [view])
        if name not in registered_views(connection, project):
            raise NotRegistered(f"{name} is not in Feast's registry: materialise feast/registry first")
        store = feast.store()
        client = feast.online_store().client()
        with one_snapshot(warehouse) as (reading, snapshot):
            window = read_window(reading, Source.of(view))
            if inspect:
                inspect(reading, window)
            table = TableKeys(warehouse, project, view, window.end, snapshot)
            wanted = table.digests()
            gone = _count_gone(client, table, wanted)
            if not allow_mass_deletion:
                refuse_mass_deletion(view, gone, len(wanted))
            before = online_state.written_views(connection, project, name)
            now = online_state.Written.of(view)
            online_state.remember(connection, project, now)
            engine, write_seconds = _write(store, name, window, snapshot)
            removed = _remove_rows(client, table, wanted, before) if gone or before else 0
            stale = tuple(sorted({f for known in before for f in known.fields} - set(now.fields)))
            if stale:
                online_rows.remove_fields(client, table, stale)
            online_state.replace(connection, project, name, now)
            keys = online_rows.count_present(client, table)
    return Materialized(window, len(wanted), keys, removed, stale, engine, write_seconds, time.monotonic() - began)


def refuse_mass_deletion(view: FeatureView, gone: int, kept: int) -> None:
    """Raises MassDeletionRefused when a run would remove more than MOST_REMOVED of the view's entities."""
    if gone <= MOST_REMOVED * (gone + kept):
        return
    raise MassDeletionRefused(
        f"Nothing was written or removed: {view.table} has {kept} entities up to now, and {gone} others that are online"
        f" would be removed with their values of {view.name}. See whether {view.table} was built completely; if this is"
        f" meant, run online/{view.name} with the config allow_mass_deletion: true."
    )


def _write(store: FeatureStore, name: str, window: Window, snapshot: str) -> tuple[Written | None, float]:
    """Feast's own materialise, with whatever engine feature_store.yaml names."""
    from terrane_features.engine import reading
    from terrane_features.engine.compute import reported

    began = time.monotonic()
    with reading.snapshot(snapshot), reported() as reports:
        if window.start:
            store.materialize(window.start, window.end, feature_views=[name])
            keep_newest_intervals(store, name)
    return (reports[0] if reports else None), time.monotonic() - began


def _count_gone(client: Any, table: TableKeys, wanted: np.ndarray) -> int:
    """How many entities are online and not in the table."""
    view, keys = table.view, tuple(sorted(table.view.key_names))
    return sum(len(some.keys) for some in online_rows.stale_keys(client, table.project, keys, view.name, wanted))


def _remove_rows(client: Any, table: TableKeys, wanted: np.ndarray, before: list[online_state.Written]) -> int:
    """Removes the view's rows that are not wanted, under its join keys of now and of before; returns how many."""
    view, removed = table.view, 0
    known = {tuple(sorted(view.key_names))} | {written.join_keys for written in before}
    fields = tuple({f.name for f in view.features} | {f for written in before for f in written.fields})
    for join_keys in sorted(known):
        for some in online_rows.stale_keys(client, table.project, join_keys, view.name, wanted):
            some.remove(view.name, fields)
            removed += len(some.keys)
    return removed
