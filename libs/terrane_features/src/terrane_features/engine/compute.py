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

from terrane import names
from terrane_features.engine import reading
from terrane_features.engine.commands import Layout
from terrane_features.engine.support import unsupported_column, unsupported_view
from terrane_features.engine.writing import Written, write
from terrane_features.feast_internals import name_online, offline_connection, offline_conninfo
from terrane_features.materialize.snapshot import Source, newest_rows
from terrane_features.online_store.address import address_of
from terrane_features.online_store.keys import written_by_others

if TYPE_CHECKING:
    from feast import FeatureView
    from feast.infra.registry.base_registry import BaseRegistry

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
            # By hand only the one of the two variables may be set.
            names.export()
            reason = unsupported_view(task.feature_view, self.repo_config) or self._write(task)
        except Exception as error:
            return LocalMaterializationJob(_job_id(task), MaterializationJobStatus.ERROR, error)
        if reason is None:
            return LocalMaterializationJob(_job_id(task), MaterializationJobStatus.SUCCEEDED)
        log.warning("%s is materialised by Feast's local engine, because %s", task.feature_view.name, reason)
        return super()._materialize_one(registry, task, **kwargs)

    def _write(self, task: MaterializationTask) -> str | None:
        """Writes the task's rows; or returns why it cannot, with nothing written."""
        view, began = task.feature_view, time.monotonic()
        source, layout = source_of(view), self._layout(view)
        online: Any = self.repo_config.online_store
        with offline_connection(self.repo_config) as connection:
            columns = reading.column_types(connection, source)
            if reason := unsupported_column(dict(layout.keys), dict(layout.features), source.time, columns):
                return reason
            unique = reading.is_unique(connection, source)
            columns = [*source.keys, *source.features, source.time]
            query = newest_rows(source, columns, task.end_time, start=task.start_time, unique=unique)
            settings = {} if unique else {"work_mem": reading.WORK_MEM}
            reading.wait_for_other_writers(connection, self.repo_config.project, view.name)
            if reading.current_snapshot() is None:
                # By hand: committed before the first row is written, whatever becomes of the rest.
                with offline_connection(self.repo_config) as marking:
                    written_by_others(marking, self.repo_config.project, view.name)
            text, conninfo = query.as_string(connection), offline_conninfo(self.repo_config)
            rows = reading.batches(conninfo, text, settings, reading.current_snapshot())
            done = write(rows, layout, address_of(online.model_dump()).client(), only_newer=not online.skip_dedup)
        _report(view.name, done, time.monotonic() - began)
        return None

    def _layout(self, view: FeatureView) -> Layout:
        online: Any = self.repo_config.online_store
        source: Any = view.batch_source
        return Layout(
            project=self.repo_config.project,
            view=name_online(view, self.repo_config),
            keys=_types(view.entity_columns),
            features=_types(view.features),
            time=source.timestamp_field,
            ttl_s=online.key_ttl_seconds,
        )


@contextmanager
def reported() -> Iterator[list[Written]]:
    """Collects what the engine does inside the block; empty when it left the work to Feast's own."""
    collected: list[Written] = []
    token = _reports.set(collected)
    try:
        yield collected
    finally:
        _reports.reset(token)


def source_of(view: FeatureView) -> Source:
    """Where a view's rows are read from."""
    source: Any = view.batch_source
    found = Source(
        relation=source.get_table_query_string(),
        keys=tuple(column.name for column in view.entity_columns),
        features=tuple(feature.name for feature in view.features),
        time=source.timestamp_field,
        created=source.created_timestamp_column or "",
    )
    return found.renamed(source.field_mapping or {})


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
