"""What Feast calls to materialise: the engine that `batch_engine` in feature_store.yaml names.

Feast finds the configuration's class by name, `<engine>Config` in the same module. The mode is the online store's own
switch: with `skip_dedup: true` every row is written, without it only what is newer than Redis has, as stock does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine, LocalComputeEngineConfig
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.online_stores.helpers import compute_versioned_name

from terrane_features.engine import reading
from terrane_features.engine.commands import Layout
from terrane_features.engine.support import unsupported_column, unsupported_view
from terrane_features.engine.writing import Written, write

if TYPE_CHECKING:
    from feast import FeatureView, RepoConfig
    from feast.infra.registry.base_registry import BaseRegistry
    from redis import Redis
    from redis.cluster import RedisCluster

log = logging.getLogger("terrane_features.engine")
_reports: ContextVar[list[Written] | None] = ContextVar("reports", default=None)


class RedisComputeEngineConfig(LocalComputeEngineConfig):
    """Its settings: none of its own. `backend` is for what is left to Feast's engine."""

    type: Literal["terrane_features.engine.compute.RedisComputeEngine"] = (  # pyright: ignore[reportIncompatibleVariableOverride]
        "terrane_features.engine.compute.RedisComputeEngine"
    )


class RedisComputeEngine(LocalComputeEngine):
    """Materialises a view of Postgres into Redis by columns, and everything else as Feast's local engine does."""

    def _materialize_one(self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any) -> Any:
        try:
            reason = unsupported_view(task.feature_view, self.repo_config) or self._write(task)
        except Exception as error:
            return LocalMaterializationJob(_job_id(task), MaterializationJobStatus.ERROR, error)
        if reason is None:
            return LocalMaterializationJob(_job_id(task), MaterializationJobStatus.SUCCEEDED)
        log.warning("%s is materialised by Feast's local engine, because %s", task.feature_view.name, reason)
        return super()._materialize_one(registry, task, **kwargs)

    def _write(self, task: MaterializationTask) -> str | None:
        """Writes the task's rows; or returns why it cannot, with nothing written."""
        from feast.infra.utils.postgres.connection_utils import _get_conn

        view, began = task.feature_view, time.monotonic()
        source, layout = source_of(view), self._layout(view)
        offline, online = _configured(self.repo_config)
        with _get_conn(offline) as connection:
            columns = reading.column_types(connection, source)
            if reason := unsupported_column(dict(layout.keys), dict(layout.features), source.time, columns):
                return reason
            unique = reading.is_unique(connection, source)
            query = reading.query_text(connection, source, task.start_time, task.end_time, unique)
            settings = {} if unique else {"work_mem": reading.WORK_MEM}
            reading.wait_for_other_writers(connection, self.repo_config.project)
            rows = reading.batches(self._conninfo(), query, settings, reading.current_snapshot())
            done = write(rows, layout, self._client(), only_newer=not online.skip_dedup)
        _report(view.name, done, time.monotonic() - began)
        return None

    def _layout(self, view: FeatureView) -> Layout:
        _, online = _configured(self.repo_config)
        source: Any = view.batch_source
        return Layout(
            project=self.repo_config.project,
            view=compute_versioned_name(view, _versioned(self.repo_config)),
            keys=_types(view.entity_columns),
            features=_types(view.features),
            time=source.timestamp_field,
            ttl_s=online.key_ttl_seconds,
        )

    def _client(self) -> Redis | RedisCluster:
        """Feast's own client, with whatever its connection string asks for."""
        online: Any = self.online_store
        return online._get_client(self.repo_config.online_store)

    def _conninfo(self) -> str:
        """The offline store's connection as libpq's text, as Feast itself would connect."""
        from feast.infra.utils.postgres.connection_utils import _get_conn_kwargs, _get_conninfo
        from psycopg.conninfo import make_conninfo

        offline: Any = self.repo_config.offline_store
        named = {name: value for name, value in _get_conn_kwargs(offline).items() if value}
        return make_conninfo(_get_conninfo(offline), **named)


@contextmanager
def reported() -> Iterator[list[Written]]:
    """Collects what the engine does inside the block; empty when it left the work to Feast's own."""
    collected: list[Written] = []
    token = _reports.set(collected)
    try:
        yield collected
    finally:
        _reports.reset(token)


def source_of(view: FeatureView) -> reading.Source:
    """Where a view's rows are read from."""
    source: Any = view.batch_source
    return reading.Source(
        relation=source.get_table_query_string(),
        keys=tuple(column.name for column in view.entity_columns),
        features=tuple(feature.name for feature in view.features),
        time=source.timestamp_field,
        created=source.created_timestamp_column or "",
    )


def _configured(config: RepoConfig) -> tuple[Any, Any]:
    """The offline and the online store's configuration."""
    return config.offline_store, config.online_store


def _versioned(config: RepoConfig) -> bool:
    """Whether a view's version is part of its name in Redis."""
    return bool(getattr(config.registry, "enable_online_feature_view_versioning", False))


def _types(columns: Any) -> tuple[tuple[str, str], ...]:
    return tuple((column.name, column.dtype.to_value_type().name) for column in columns)


def _job_id(task: MaterializationTask) -> str:
    return f"{task.feature_view.name}-{task.start_time}-{task.end_time}"


def _report(name: str, done: Written, seconds: float) -> None:
    log.info(
        "%s: %d rows read, %d written, %d no newer than Redis has; %.1f MB in %.2f s",
        *(name, done.rows, done.written, done.skipped, done.bytes / 1e6, seconds),
    )
    if (reports := _reports.get()) is not None:
        reports.append(done)
