"""The join of entities with the newest features that were known at each row's moment, by Feast's historical API.

Feast writes the query, with the entities' query inside it instead of a table that it would make; we read its rows as
Arrow batches into Parquet, so that memory does not grow with the set. A row of a source counts for a moment when its
event is not later, its created time is not later, and it is not older than the view's ttl; the newest event wins, and
among rows of one event the one created last. A row without a created time was known nobody knows when: it never counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from terrane.postgres import PostgresResource
from terrane_features.feast_internals import embed_entities
from terrane_features.materialize.snapshot import one_snapshot
from terrane_features.repository.model import FeatureService, FeatureView
from terrane_features.resources import FeastResource
from terrane_features.training.entities import MOMENT, clean, examine

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore
    from feast.infra.offline_stores.offline_store import RetrievalJob

ROW_GROUP_ROWS = 131_072


class NotJoined(RuntimeError):
    """The join did not give one row for each row of the entities."""


class NoSuchService(RuntimeError):
    """The service is in no registry yet."""


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
    *,
    full_feature_names: bool = False,
    known_at_the_time: bool = True,
) -> TrainingRows:
    """Writes the entities' rows with the service's features as one Parquet file, in the order of moment and keys.

    Args:
        entities: a query with the views' join keys, `event_timestamp` (timestamptz), and what else a row should have.
        full_feature_names: call a feature `<view>__<feature>`.
        known_at_the_time: leave out what was written only after a row's moment, as a later correction is.

    Raises EntitiesRefused, NoSuchService or NotJoined; psycopg.Error for a query that fails.
    """
    repository = feast.repository()
    service, query = repository.service(service_name), clean(entities)
    views = [repository.view(name) for name in service.views]
    store = feast.store()
    with one_snapshot(warehouse) as (connection, snapshot):
        names = _names(store, service, full_feature_names)
        found = examine(connection, query, views, names)
        job = _job(store, service.name, query, full_feature_names, known_at_the_time)
        keys = sorted({name for view in views for name in view.key_names})
        with _batches(job, warehouse, found.columns, names, keys, snapshot) as batches:
            rows, columns = _write(batches, target)
    if rows != found.rows:
        raise NotJoined(
            f"The entities' query has {found.rows} rows, and the join with {service.name} {rows}: a source has several"
            f" rows of one entity and one time. See the check rows_are_told_apart of {_assets(views)}."
        )
    return TrainingRows(rows, columns)


def _names(store: FeatureStore, service: FeatureService, full: bool) -> list[str]:
    """The columns that the service adds."""
    from feast.errors import FeatureServiceNotFoundException

    try:
        registered = store.get_feature_service(service.name)
    except FeatureServiceNotFoundException as error:
        raise NoSuchService(f"{service.name} is not in Feast's registry: materialise feast/registry first") from error
    projections = registered.feature_view_projections
    return [f"{p.name_to_use()}__{f.name}" if full else f.name for p in projections for f in p.features]


def _job(store: FeatureStore, service: str, query: str, full: bool, known: bool) -> RetrievalJob:
    embed_entities(store)
    return store.get_historical_features(
        entity_df=query,
        features=store.get_feature_service(service),
        full_feature_names=full,
        filter_by_created_timestamp=known,
    )


@contextmanager
def _batches(
    job: RetrievalJob,
    warehouse: PostgresResource,
    columns: Mapping[str, str],
    names: Sequence[str],
    keys: Sequence[str],
    snapshot: str,
) -> Iterator[Iterator[pa.RecordBatch]]:
    """The join's rows. On-demand views are computed by Feast, from all rows at once."""
    from terrane_features.engine import reading
    from terrane_features.engine.reading import WORK_MEM

    if job.on_demand_feature_views:
        # Feast leaves in what on-demand views were computed from, and nobody asked for.
        table = _with_zones(job.to_arrow().select([*columns, *names]), columns)
        yield iter(table.sort_by([(name, "ascending") for name in [MOMENT, *keys]]).to_batches())
        return
    order = ", ".join(f'"{name}"' for name in [MOMENT, *keys])
    query = f"select * from ({job.to_sql()}) as joined order by {order}"  # noqa: S608 - Feast's own text
    yield reading.batches(warehouse.uri(), query, {"work_mem": WORK_MEM}, snapshot)


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
