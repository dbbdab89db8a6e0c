"""The whole of an asset online/<view>: a table of gold becomes hashes in Redis, and nothing else stays of the view.

The window is the whole table up to the warehouse's clock, whatever was materialised before: a row committed late, or
corrected without a newer event time, would never be in an incremental one. Rows, counts and keys are read from one
snapshot of the warehouse. What the table no longer has is counted before anything is written, and removed afterwards.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from terrane.postgres import PostgresResource
from terrane_features.feast_internals import keep_newest_intervals
from terrane_features.materialize.snapshot import Source, Window, look_in, one_snapshot, read_window
from terrane_features.materialize.values import refuse_values
from terrane_features.online_store import rows as online_rows
from terrane_features.online_store import written as online_state
from terrane_features.online_store.keys import KeyRecord
from terrane_features.online_store.rows import TableKeys
from terrane_features.registry.state import registered_views, view_writer
from terrane_features.repository.model import FeatureView
from terrane_features.repository.table_schema import ColumnsDoNotFit, check_views, refuse_keys, with_registered_types
from terrane_features.resources import FeastResource

if TYPE_CHECKING:
    import numpy as np
    import psycopg
    import pyarrow as pa
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
    inspect: Callable[[psycopg.Connection, Window, FeatureView], None] | None = None,
    afterwards: Callable[[psycopg.Connection, Window, float], None] | None = None,
) -> Materialized:
    """Writes every row of the view's table to Redis, and removes the rows and fields that the table no longer has.

    Args:
        inspect: looks at the table in the snapshot that is written, before anything is; what it raises stops the run.
        afterwards: looks at the same snapshot once other writers may go on; is told how many seconds the writing took.

    Raises ColumnsDoNotFit, NotRegistered or MassDeletionRefused before anything is written,
    psycopg.OperationalError or redis.RedisError when a store goes away. Whatever was written by then stays, and is what
    the next run writes again.
    """
    began = time.monotonic()
    repository = feast.repository()
    view, project = repository.view(name), repository.project
    with ExitStack() as stack:
        with view_writer(warehouse, project, name) as connection:
            # After the lock, or rows could be written that are older than those of the writer before.
            reading, snapshot = stack.enter_context(one_snapshot(warehouse, [view]))
            if view.problem:
                raise ColumnsDoNotFit([f"Feature view {name} ({view.place}) cannot be materialised: {view.problem}."])
            check_views(connection, [view])
            if name not in registered_views(connection, project):
                raise NotRegistered(f"{name} is not in Feast's registry: materialise feast/registry first")
            store = feast.store()
            view = with_registered_types(view, store.get_feature_view(name))
            refuse_keys(view)
            look_in(reading, view.schema)
            refuse_values(reading, view)
            client = feast.online_store().client()
            window = read_window(reading, Source.of(view))
            if inspect:
                inspect(reading, window, view)
            table = TableKeys(warehouse, project, view, window.end, snapshot)
            run = _Run(client, table, KeyRecord(connection, project, name), str(uuid.uuid4()))
            entities, gone = run.compare(refuse=not allow_mass_deletion)
            before = online_state.written_views(connection, project, name)
            now = online_state.Written.of(view)
            online_state.remember(connection, project, now)
            engine, write_seconds = _write(store, name, window, snapshot)
            removed = run.remove_gone(before) if gone else 0
            stale = tuple(sorted({f for known in before for f in known.fields} - set(now.fields)))
            if stale:
                online_rows.remove_fields(client, table, stale)
            keys, samples = online_rows.count_present(client, table)
            online_state.replace(connection, project, name, now, samples)
            run.end()
        if afterwards:
            afterwards(reading, window, write_seconds)
    return Materialized(window, entities, keys, removed, stale, engine, write_seconds, time.monotonic() - began)


@dataclass
class _Run:
    """The keys of one run: what the table has, and what earlier runs wrote that it has no longer.

    Attributes:
        token: the run's name among the keys that are kept.
        wanted: the hashes of all of the table's keys, sorted.
    """

    client: Any
    table: TableKeys
    record: KeyRecord
    token: str
    wanted: np.ndarray | None = None

    def compare(self, *, refuse: bool) -> tuple[int, int]:
        """Keeps the table's keys. How many entities have a row to serve, and how many are online and not in the table.

        Raises MassDeletionRefused, with nothing kept, where `refuse` says so.
        """
        import numpy as np

        found, served = [], []
        try:
            for part, (keys, past) in enumerate(self.table.all()):
                self.record.add(self.token, part, keys)
                hashes = online_rows.digests(keys)
                found.append(hashes)
                served.append(hashes if past == len(keys) else None)
            self.wanted = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
            entities = len(self.wanted) if all(s is not None for s in served) else self._served_entities()
            # After a run that died, a key is kept twice.
            gone = _different(online_rows.digests(keys) for keys in self._gone())
            if refuse:
                refuse_mass_deletion(self.table.view, gone, len(self.wanted))
        except BaseException:
            self.record.forget(self.token)
            raise
        return entities, gone

    def remove_gone(self, before: list[online_state.Written]) -> int:
        """Removes the rows of entities that the table lacks; returns how many."""
        view = self.table.view
        fields = [f.name for f in view.features] + [f for written in before for f in written.fields]
        return sum(online_rows.remove_rows(self.client, view.name, fields, k) for k in self._gone())

    def end(self) -> None:
        """From now on the keys of this run are those that may be online."""
        self.record.forget_earlier(self.token)
        self.record.complete()

    def _served_entities(self) -> int:
        """How many entities have a row up to now, where others lie ahead: counted in a pass of its own."""
        return _different(online_rows.digests(keys) for keys in self.table.served())

    def _gone(self) -> Iterator[pa.Array]:
        """The keys that are online and not in the table, some at a time."""
        view, project = self.table.view, self.table.project
        if self.record.is_complete():
            candidates: Iterable[pa.Array] = self.record.earlier(self.token)
        else:
            known = {tuple(sorted(view.key_names))}
            known |= {w.join_keys for w in online_state.written_views(self.record.connection, project, view.name)}
            candidates = (k for names in sorted(known) for k in online_rows.scan(self.client, project, names))
        for keys in candidates:
            assert self.wanted is not None
            missing = online_rows.not_among(keys, self.wanted)
            if len(missing):
                yield online_rows.with_row(self.client, view.name, missing)


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


def _different(hashes: Iterable[np.ndarray]) -> int:
    """How many different ones there are."""
    import numpy as np

    found = list(hashes)
    return len(np.unique(np.concatenate(found))) if found else 0
