"""The dbt project's models and tests as assets and checks."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from terrane import names
from terrane.errors import Permanent, as_failures, database_errors
from terrane.ownership import Ownership, ownership
from terrane.policies import once_all_settled
from terrane.postgres import PostgresResource
from terrane_dbt.components.scaffolding import Scaffolder
from terrane_dbt.dbt_project.cli import dbt_cli, dbt_project
from terrane_dbt.dbt_project.failure import explain
from terrane_dbt.dbt_project.manifest import ensure_manifest, keep_partial_parse


@dg.scaffold_with(Scaffolder)
@dataclass
class DbtModels(dg.Component, dg.Resolvable):
    """Models as `<schema>/<model>`, sources as `<schema>/<table>`, tests as checks; one `dbt build` a run.

    The manifest is read from the project's own target folder and prepares itself, so nothing is copied and no step
    comes before loading the definitions.

    Attributes:
        project: the folder of the dbt project, from the location's own.
        name: of the step.
        fresh_hours: how old the newest materialisation may be before a model counts as stale.
    """

    project: str
    name: str = "dbt_build"
    fresh_hours: int = 30

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        project = dbt_project(Path(context.project_root, self.project).resolve())
        fresh = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=self.fresh_hours))

        @dbt_assets(
            manifest=ensure_manifest(project.project_dir),
            project=project,
            name=self.name,
            dagster_dbt_translator=Translator(fresh, ownership(Path(context.project_root))),
        )
        def build(context: dg.AssetExecutionContext, warehouse: PostgresResource) -> Iterator[Any]:
            with as_failures():
                yield from run_dbt_build(context, project, warehouse)

        return dg.Definitions(assets=[build])


class Translator(DagsterDbtTranslator):
    """Gives models what every asset of the platform has."""

    def __init__(self, freshness: dg.FreshnessPolicy, owned: Ownership):
        super().__init__()
        self._freshness = freshness
        self._owned = owned

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = self.get_resource_props(manifest, unique_id)
        if node["resource_type"] != "model":
            return spec
        return spec.replace_attributes(
            group_name="transformations",
            owners=self._owned.owners,
            tags={**spec.tags, **self._owned.tags},
            freshness_policy=self._freshness,
            automation_condition=once_all_settled(source_keys(manifest)),
        )

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props["description"]


def source_keys(manifest: Mapping[str, Any]) -> set[dg.AssetKey]:
    """The tables that the project reads and does not make."""
    return {dg.AssetKey([node["schema"], node["name"]]) for node in manifest["sources"].values()}


def run_dbt_build(context: dg.AssetExecutionContext, project: DbtProject, warehouse: PostgresResource) -> Iterator[Any]:
    """dbt's events as Dagster's, with each model's row count.

    dbt's artifacts go with the run: what they say is in the event log, and a folder a run would pile up for ever.

    Raises:
        Permanent: dbt failed. It is not tried again: a broken model stays broken, and new rows ask for a build anyway.
    """
    with tempfile.TemporaryDirectory(prefix="terrane-dbt-") as target:
        try:
            for event in dbt_cli(project).cli(["build"], context=context, target_path=Path(target)).stream():
                yield with_row_count(context, event, warehouse) if isinstance(event, dg.Output) else event
        except DagsterDbtCliRuntimeError as error:
            raise Permanent(explain(Path(target), error.description or "")) from None
        finally:
            keep_partial_parse(project.project_dir, Path(target))


def with_row_count(context: dg.AssetExecutionContext, event: dg.Output, warehouse: PostgresResource) -> dg.Output:
    rows = count_rows(warehouse, context.asset_key_for_output(event.output_name))
    return event.with_metadata({**event.metadata, "dagster/row_count": rows})


def count_rows(warehouse: PostgresResource, key: dg.AssetKey) -> int:
    """How many rows the table or view of that key has."""
    from psycopg import sql

    schema, table = key.path
    name = sql.Identifier(schema + names.current().suffix, table)
    with database_errors(warehouse, f"counting {key.to_user_string()}"), warehouse.connect() as connection:
        counted = connection.execute(sql.SQL("select count(*) from {}").format(name)).fetchone()
    return counted[0] if counted else 0
