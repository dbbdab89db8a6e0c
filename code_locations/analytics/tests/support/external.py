"""Runs of external tables as their YAML declares them, and what is in the warehouse then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import yaml

from analytics.components import ExternalTable
from terrane.object_store import ObjectStoreResource
from terrane.postgres import PostgresResource


class Runs:
    """Runs of an external table as its YAML declares it."""

    def __init__(self, warehouse: PostgresResource, store: ObjectStoreResource, instance: dg.DagsterInstance):
        self._resources = {"warehouse": warehouse, "object_store": store}
        self._warehouse, self._instance = warehouse, instance

    def run(self, text: str, config: Mapping[str, Any] | None = None, **changed: Any) -> Any:
        table = ExternalTable.resolve_from_dict(yaml.safe_load(text) | changed)
        definitions = table.build_defs(None)  # pyright: ignore[reportArgumentType] - it has no use for its place
        definitions = dg.Definitions.merge(definitions, dg.Definitions(resources=self._resources))
        return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self._instance,
            raise_on_error=False,
            run_config={"ops": {f"raw__{table.table}": {"config": config}}} if config else None,
        )

    def facts(self, text: str, **changed: Any) -> dict[str, Any]:
        """What a run that succeeds says of itself."""
        result = self.run(text, **changed)
        assert result.success, self.message(result)
        (event,) = result.get_asset_materialization_events()
        return {name: value.value for name, value in event.materialization.metadata.items()}

    def message(self, result: Any) -> str:
        found = [e for e in result.all_events if e.is_step_failure]
        return str(found[-1].event_specific_data.error.to_string()) if found else ""

    def failure(self, text: str, **changed: Any) -> str:
        result = self.run(text, **changed)
        assert not result.success
        return self.message(result)

    def rows(self, query: str = "select id, total::float, updated_at::text from raw.orders order by id") -> list[Any]:
        with self._warehouse.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(query.encode()).fetchall()

    def execute(self, statement: str) -> None:
        with self._warehouse.connect() as connection:
            connection.execute(statement.encode())
