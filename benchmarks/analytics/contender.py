"""One build of a dbt project through Dagster, in a process of its own: ours, or as dagster-dbt's documentation has it.

python -m benchmarks.analytics.contender ours|stock PROJECT [RUN]. Without a run it makes one, as a daemon does, and
prints its id; with it, it is that run's process. Both are on the instance of DAGSTER_HOME. Exits with 1 where the run
failed.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run


def ours(project: Path) -> dg.Definitions:
    from terrane.postgres import PostgresResource
    from terrane_dbt.components import DbtModels

    models = DbtModels(project=str(project)).build_defs(SimpleNamespace(project_root=project))  # pyright: ignore
    resources = {"warehouse": PostgresResource.from_env("WAREHOUSE")}
    return dg.Definitions.merge(models, dg.Definitions(resources=resources, executor=dg.in_process_executor))


def stock(project: Path) -> dg.Definitions:
    from dagster_dbt import DbtCliResource, dbt_assets

    from terrane_dbt.dbt_project.profiles import profiles_folder

    @dbt_assets(manifest=project / "target/manifest.json")
    def build(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        yield from dbt.cli(["build"], context=context).stream().fetch_row_counts().fetch_column_metadata()

    profiles = str(profiles_folder(project))
    dbt = DbtCliResource(
        project_dir=str(project), profiles_dir=profiles, dbt_executable=str(Path(sys.executable).parent / "dbt")
    )
    return dg.Definitions(assets=[build], resources={"dbt": dbt}, executor=dg.in_process_executor)


def main() -> int:
    kind, project = sys.argv[1], Path(sys.argv[2]).resolve()
    definitions = {"ours": ours, "stock": stock}[kind](project)
    job = definitions.resolve_job_def("__ASSET_JOB")
    with dg.DagsterInstance.get() as instance:
        if len(sys.argv) == 3:
            print(instance.create_run_for_job(job).run_id)
            return 0
        run = instance.get_run_by_id(sys.argv[3])
        assert run
        return 0 if execute_run(InMemoryJob(job), run, instance).success else 1


if __name__ == "__main__":
    raise SystemExit(main())
