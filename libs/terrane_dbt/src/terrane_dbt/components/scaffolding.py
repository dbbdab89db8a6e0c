"""What `dg scaffold defs` writes for a dbt project: the project itself, with a model and its tests."""

from pathlib import Path

import dagster as dg

from terrane.components.scaffolding import fill, in_project, name_of

EXAMPLE = Path(__file__).parents[1] / "example"


class Scaffolder(dg.Scaffolder):
    """Writes a dbt project beside the YAML file, in a schema of its own name."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        name = name_of(request)
        fill(EXAMPLE, request.target_path, {"NAME": name})
        dg.scaffold_component(request, {"project": in_project(request, "dbt"), "name": f"{name}_dbt_build"})
