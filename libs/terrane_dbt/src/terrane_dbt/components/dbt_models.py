"""The dbt project's models, seeds, snapshots and tests as assets and checks."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliEventMessage,
    DbtCliInvocation,
    DbtProject,
    dbt_assets,
)

from terrane import names
from terrane.errors import as_failures
from terrane.event_log import kept_connections
from terrane.ownership import Ownership, ownership
from terrane.policies import retry_policy, spec_defaults, when_sources_settle
from terrane.postgres import PostgresResource
from terrane_dbt.components.scaffolding import Scaffolder
from terrane_dbt.dbt_project import graph
from terrane_dbt.dbt_project.cli import dbt_cli, dbt_project
from terrane_dbt.dbt_project.failure import failure_of
from terrane_dbt.dbt_project.light_import import all_is_selected
from terrane_dbt.dbt_project.manifest import MANIFEST, ensure_manifest, keep_partial_parse
from terrane_dbt.dbt_project.outputs import outputs_known
from terrane_dbt.dbt_project.relations import tests_without_their_tables
from terrane_dbt.dbt_project.row_counts import RowCounts
from terrane_dbt.dbt_project.sessions import end_sessions, named_session

BUILT = ("model", "seed", "snapshot")
ALL_AT_ONCE: tuple[tuple[str, ...], ...] = ((),)
# dbt does not know that a source is a seed, and would read it before it is there.
SEEDS_FIRST = (("--resource-type", "seed"), ("--exclude-resource-type", "seed"))


@dg.scaffold_with(Scaffolder)
@dataclass
class DbtModels(dg.Component, dg.Resolvable):
    """Models as `<schema>/<table>`, sources as `<schema>/<table>`, tests as checks; one `dbt build` a run.

    The manifest is read from the project's own target folder and prepares itself, so nothing is copied and no step
    comes before loading the definitions.

    Attributes:
        project: the folder of the dbt project, from the location's own.
        target_schema: builds with the warehouse's profile, whatever the project's own is, and in that schema what
            names none.
        vars: dbt's variables, in place of the project's own.
        name: of the step.
        fresh_hours: how old the newest materialisation may be before a model counts as stale.
        retries: how often a failure that may pass is tried again within the run.
        retry_delay_s: the wait before the first of them, which doubles; by default that of all assets.
    """

    project: str
    target_schema: str | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    name: str = "dbt_build"
    fresh_hours: int = 30
    retries: int = 2
    retry_delay_s: float | None = None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        project = dbt_project(Path(context.project_root, self.project).resolve(), self.target_schema)
        manifest = ensure_manifest(project.project_dir, Path(str(project.profiles_dir)), self.vars)

        with all_is_selected():
            assets = dbt_assets(
                manifest=graph.read(manifest).manifest,
                project=project,
                name=self.name,
                dagster_dbt_translator=Translator(self.fresh_hours, ownership(Path(context.project_root))),
                retry_policy=retry_policy(self.retries, self.retry_delay_s),
            )

        @assets
        def build(context: dg.AssetExecutionContext, warehouse: PostgresResource) -> Iterator[Any]:
            with as_failures():
                yield from run_dbt_build(context, project, warehouse, graph.read(manifest), self.vars)

        return dg.Definitions(assets=[with_conditions(build, graph.read(manifest))])


class Translator(DagsterDbtTranslator):
    """Gives what dbt builds the key of its table, and what every asset of the platform has."""

    def __init__(self, fresh_hours: int, owned: Ownership):
        # A test of a source runs with whatever reads the source.
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))
        self._fresh_hours = fresh_hours
        self._owned = owned
        self._specs: dict[str, dg.AssetSpec] = {}

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """Made once: dagster-dbt asks again for each test, each that reads the table, and each of dbt's events."""
        if unique_id not in self._specs:
            self._specs[unique_id] = self._made(manifest, unique_id, project)
        return self._specs[unique_id]

    def _made(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = self.get_resource_props(manifest, unique_id)
        if node["resource_type"] not in BUILT:
            return spec
        hours = None if node["resource_type"] == "seed" else self._fresh_hours
        carried = spec_defaults(self._owned, "transformations", hours, spec.tags)
        if hours is None:
            spec = spec.merge_attributes(metadata={"freshness": "none: it changes with the project"})
        return spec.replace_attributes(**carried)

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        return graph.key_of(dbt_resource_props)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props["description"]


def with_conditions(build: dg.AssetsDefinition, project: graph.Project) -> dg.AssetsDefinition:
    """The assets, asked for when one of the tables that the project reads is new and all of them are settled."""
    sources = project.sources
    checks = [spec.key for spec in build.check_specs if spec.asset_key in sources]
    after, reading = (when_sources_settle(sources, checks, reads_them=reads) for reads in (False, True))

    def condition(spec: dg.AssetSpec) -> dg.AutomationCondition:
        return reading if any(dep.asset_key in sources for dep in spec.deps) else after

    return build.map_asset_specs(lambda spec: spec.replace_attributes(automation_condition=condition(spec)))


def run_dbt_build(
    context: dg.AssetExecutionContext,
    project: DbtProject,
    warehouse: PostgresResource,
    nodes: graph.Project,
    variables: Mapping[str, Any],
) -> Iterator[Any]:
    """dbt's events as Dagster's, with each table's row count.

    Of a part of the project, a test that compares one of its tables with another that is not there is left out. dbt's
    artifacts go with the run: what they say is in the event log, and a folder a run would pile up for ever.

    Raises:
        Temporary: the warehouse was away or full, or dbt was killed.
        Permanent: a model's or a row's own fault: what is broken stays broken, and new rows ask for a build anyway.
    """
    profiles, environment = Path(str(project.profiles_dir)), names.current().environment

    def relations() -> dict[str, tuple[str, str]]:
        # Without an environment tables are where their keys say.
        if not environment:
            return {}
        return graph.relations(ensure_manifest(project.project_dir, profiles, variables, environment))

    context.log.info(f"dbt builds with the profiles.yml of {profiles}")
    left_out = tests_without_their_tables(warehouse, nodes, context.selected_asset_keys, relations)
    if left_out:
        context.log.warning(f"tests left out, since a table they compare with is not there: {', '.join(left_out)}")
    # One argument: of several, dagster-dbt takes the first alone.
    # dbt's own log would go with its folder.
    arguments = ["build", "--log-level-file", "none", *(["--exclude", " ".join(left_out)] if left_out else [])]
    arguments += ["--vars", json.dumps(dict(variables))] if variables else []
    made: list[str] = []
    for kinds in SEEDS_FIRST if nodes.seeds_first & context.selected_asset_keys else ALL_AT_ONCE:
        yield from _invoke(context, project, warehouse, nodes, [*arguments, *kinds], made)


def _invoke(
    context: dg.AssetExecutionContext,
    project: DbtProject,
    warehouse: PostgresResource,
    nodes: graph.Project,
    arguments: list[str],
    made: list[str],
) -> Iterator[Any]:
    """The events of one dbt; adds what it made to `made`."""
    relations: dict[str, tuple[str, str]] = {}
    with tempfile.TemporaryDirectory(prefix="terrane-dbt-") as target, RowCounts(warehouse) as counts:
        with named_session() as session:
            invocation = dbt_cli(project).cli(
                arguments, context=context, target_path=Path(target), raise_on_error=False
            )
        try:
            with kept_connections(context.instance), outputs_known(context):
                for said in invocation.stream_raw_events():
                    for event in dagster_events(said, invocation):
                        if isinstance(event, dg.Output):
                            # Written before anything is built, with the schemas of this environment.
                            relations = relations or graph.relations(Path(target, MANIFEST))
                            key = context.asset_key_for_output(event.output_name)
                            made.append(key.to_user_string())
                            name = nodes.names[key]
                            yield _with_row_count(
                                event, counts, nodes.manifest["nodes"][name], relations.get(name), said
                            )
                        else:
                            yield event
            error = invocation.get_error()
            if (invocation.process.returncode or 0) < 0:
                context.log.info(f"ended {end_sessions(warehouse, session)} sessions of the dbt that was killed")
            if error:
                said = getattr(error, "description", None) or str(error)
                raise failure_of(Path(target), said, invocation.process.returncode, made)
        finally:
            keep_partial_parse(project.project_dir, Path(target))


def dagster_events(said: DbtCliEventMessage, invocation: DbtCliInvocation) -> Iterator[Any]:
    """What dagster-dbt makes of one of dbt's events."""
    return said.to_default_asset_events(
        manifest=invocation.manifest,
        dagster_dbt_translator=invocation.dagster_dbt_translator,
        context=invocation.context,
        target_path=invocation.target_path,
        project=invocation.project,
    )


def _with_row_count(
    event: dg.Output,
    counts: RowCounts,
    node: Mapping[str, Any],
    relation: tuple[str, str] | None,
    said: DbtCliEventMessage,
) -> dg.Output:
    rows = counts.of(node, relation, str(said.raw_event["data"].get("status", ""))) if relation else None
    return event if rows is None else event.with_metadata({**event.metadata, "dagster/row_count": rows})
