"""The join of entities with the newest features that were known at each row's moment.

One statement of ours joins (`training.join`); its rows are read as Arrow batches into Parquet, so that memory does not
grow with the set. A row of a source counts for a moment when its event is not later, its created time is not later, and
it is not older than the view's ttl; the newest event wins, and among rows of one event the one created last. A row
without a created time was known nobody knows when: it never counts. Where a service has on-demand views Feast's own
query joins, and Feast computes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from terrane.postgres import PostgresResource
from terrane_features.feast_internals import embed_entities
from terrane_features.materialize.snapshot import look_in, one_snapshot, search_path
from terrane_features.repository.model import FeatureView
from terrane_features.resources import FeastResource
from terrane_features.training.entities import MOMENT, Entities, clean, examine, refuse_confusion
from terrane_features.training.failures import NotJoined
from terrane_features.training.options import AS_IT_WAS, JoinOptions

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore

    from terrane_features.training.registered import Registered

ROW_GROUP_ROWS = 131_072


@dataclass(frozen=True)
class TrainingRows:
    """What was written: rows, and the columns' names."""

    rows: int
    columns: tuple[str, ...]


def write_training_set(
    feast: FeastResource,
    warehouse: PostgresResource,
    service_name: str,
    entities: str,
    target: Path,
    options: JoinOptions = AS_IT_WAS,
) -> TrainingRows:
    """Writes the entities' rows with the service's features as one Parquet file, in the order of moment and keys.

    Args:
        entities: a query with the views' join keys, `event_timestamp` (timestamptz), and what else a row should have.

    Raises EntitiesRefused, NoSuchService or NotJoined; psycopg.Error for a query that fails.
    """
    from terrane_features.engine import reading
    from terrane_features.training.join import Bounds, join_query, settings
    from terrane_features.training.registered import registered

    repository = feast.repository()
    service, query = repository.service(service_name), clean(entities)
    views = [repository.view(name) for name in service.views]
    store = feast.store()
    with one_snapshot(warehouse, views) as (connection, snapshot):
        look_in(connection, views[0].schema)
        known = registered(store, connection, service.name, full=options.full_feature_names)
        if known.views:
            found = examine(connection, query, known.keys, known.features)
            within = {"search_path": search_path(views[0].schema), **settings(len(known.views))}
            bounds = Bounds(found.first, found.last)
            statement = join_query(query, [*found.columns], known.views, bounds, options).as_string(connection)
            batches = reading.batches(warehouse.uri(), statement, within, snapshot)
        else:
            found = examine(connection, query, [name for view in views for name in view.key_names], known.features)
            for view in views:
                refuse_confusion(connection, query, view)
            batches = _by_feast(store, query, known, found, views, options)
        rows, columns = _write(batches, target)
    if rows != found.rows:
        raise NotJoined(
            f"The entities' query has {found.rows} rows, and the join with {service.name} {rows}: a source has several"
            f" rows of one entity and one time. See the check rows_are_told_apart of {_assets(views)}."
        )
    return TrainingRows(rows, columns)


def _by_feast(
    store: FeatureStore,
    query: str,
    known: Registered,
    found: Entities,
    views: Sequence[FeatureView],
    options: JoinOptions,
) -> Iterator[pa.RecordBatch]:
    """The rows of Feast's query with on-demand features, which Feast computes from all rows at once."""
    embed_entities(store)
    job = store.get_historical_features(
        entity_df=query,
        features=known.service,
        full_feature_names=options.full_feature_names,
        filter_by_created_timestamp=options.known_at_the_time,
    )
    # Feast leaves in what on-demand views were computed from, and nobody asked for.
    table = _with_zones(job.to_arrow().select([*found.columns, *known.features]), found.columns)
    keys = sorted({name for view in views for name in view.key_names})
    return iter(table.sort_by([(name, "ascending") for name in [MOMENT, *keys]]).to_batches())


def _with_zones(table: pa.Table, columns: Mapping[str, str]) -> pa.Table:
    """Times of the entities' query as moments again: Feast hands out their UTC without saying that it is."""
    import pyarrow as pa

    for name in [name for name, kind in columns.items() if kind == "timestamptz"]:
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table.column(name).cast(pa.timestamp("us", "UTC")))
    return table


def _write(batches: Iterator[pa.RecordBatch], target: Path) -> tuple[int, tuple[str, ...]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, columns, pending, waiting = 0, (), [], 0
    writer: pq.ParquetWriter | None = None
    try:
        for batch in batches:
            writer = writer or pq.ParquetWriter(target, batch.schema, compression="zstd")
            columns = tuple(batch.schema.names)
            rows += len(batch)
            pending.append(batch)
            waiting += len(batch)
            if waiting >= ROW_GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(pending))
                pending, waiting = [], 0
        if writer and pending:
            writer.write_table(pa.Table.from_batches(pending))
    finally:
        if writer:
            writer.close()
    return rows, columns


def _assets(views: Sequence[FeatureView]) -> str:
    return ", ".join(f"online/{view.name}" for view in views)
