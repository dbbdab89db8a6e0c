"""The whole of an asset online/<view>: a table of gold becomes hashes in Redis, and nothing else stays of the view.

The window is the whole table, whatever was materialised before: a row committed late, or corrected without a newer
event time, would never be in an incremental one. Feast's own engine does the writing; another is set by `batch_engine`
in feature_store.yaml.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from features.columns import check_views
from features.feast_store import FeastResource
from features.intervals import keep_newest
from features.redis_store import RedisResource, key_of, keys_of_view, remove_rows
from features.registry_state import only_writer, registered_views
from features.repository import FeatureView
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    import psycopg
    from feast import FeatureStore
    from psycopg import sql

FETCH_ROWS = 10_000


class NotRegistered(RuntimeError):
    """The view is in no registry yet."""


@dataclass(frozen=True)
class Window:
    """What a table holds up to the warehouse's clock.

    Attributes:
        rows, keys: up to `end`; more rows than keys means that entities repeat.
        future_rows: rows whose event lies behind `end`; they wait for a later run.
        start: the earliest event; None when there are no rows.
    """

    rows: int
    keys: int
    future_rows: int
    start: datetime | None
    newest: datetime | None
    end: datetime


@dataclass(frozen=True)
class Materialized:
    """What a run did: `keys` entities of the view are in Redis now, `removed` were and are not; `seconds` for all."""

    window: Window
    keys: int
    removed: int
    seconds: float


def materialize(feast: FeastResource, warehouse: PostgresResource, redis: RedisResource, name: str) -> Materialized:
    """Writes every row of the view's table to Redis, and removes the rows that the table no longer has.

    Raises ColumnsDoNotFit or NotRegistered before anything is written, psycopg.OperationalError or redis.RedisError
    when a store goes away. Whatever was written by then stays, and is what the next run writes again.
    """
    began = time.monotonic()
    repository = feast.repository()
    view = repository.view(name)
    with only_writer(warehouse, repository.project) as connection:
        check_views(connection, [view])
        if name not in registered_views(connection, repository.project):
            raise NotRegistered(f"{name} is not in Feast's registry: materialise feast/registry first")
        window = read_window(connection, view)
        if window.start:
            _write(feast.store(), name, window.start, window.end)
        keys, removed = _remove_missing(connection, redis, repository.project, view, window.end)
    return Materialized(window, keys, removed, time.monotonic() - began)


def _write(store: FeatureStore, name: str, start: datetime, end: datetime) -> None:
    store.materialize(start, end, feature_views=[name])
    keep_newest(store, name)


def read_window(connection: psycopg.Connection, view: FeatureView) -> Window:
    """Counts the table's rows and entities, and its events' times, up to the warehouse's clock."""
    from psycopg import sql

    query = sql.SQL(
        "select count(*) filter (where {time} <= now()), count(distinct ({keys})) filter (where {time} <= now()),"
        " count(*) filter (where {time} > now()), min({time}) filter (where {time} <= now()),"
        " max({time}) filter (where {time} <= now()), now() from {table}"
    ).format(time=sql.Identifier(view.timestamp_column), keys=_keys(view), table=_table(view))
    row = connection.execute(query).fetchone()
    assert row is not None
    return Window(*row)


def _remove_missing(
    connection: psycopg.Connection, redis: RedisResource, project: str, view: FeatureView, end: datetime
) -> tuple[int, int]:
    """Removes the view's row of every entity that the table lacks; returns how many stay, and how many went."""
    with redis.client() as client:
        online = set(keys_of_view(client, project, view))
        wanted = _wanted_keys(connection, project, view, end)
        gone = online - wanted
        remove_rows(client, view, sorted(gone))
    return len(online & wanted), len(gone)


def _wanted_keys(connection: psycopg.Connection, project: str, view: FeatureView, end: datetime) -> set[bytes]:
    from psycopg import sql

    query = sql.SQL("select {keys} from {table} where {time} <= %s").format(
        keys=_keys(view), table=_table(view), time=sql.Identifier(view.timestamp_column)
    )
    keys: set[bytes] = set()
    with connection.transaction(), connection.cursor("wanted_keys") as cursor:
        cursor.itersize = FETCH_ROWS
        for row in cursor.execute(query, [end]):
            keys.add(key_of(project, view, *row))
    return keys


def _keys(view: FeatureView) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(", ").join(sql.Identifier(name) for name in view.key_names)


def _table(view: FeatureView) -> sql.Identifier:
    from psycopg import sql

    return sql.Identifier(*view.table.split("."))
