"""What `dg scaffold defs` writes for a Feast repository and for a training set."""

from pathlib import Path

import dagster as dg

from terrane.components.scaffolding import fill, in_project, name_of
from terrane_features.repository.read import read_repository
from terrane_features.repository.settings import SETTINGS

EXAMPLE = Path(__file__).parents[1] / "example"
REPOSITORY = "feast_repo"
ROOT = "{{ context.project_root }}/"


class ViewsScaffolder(dg.Scaffolder):
    """Writes a Feast repository beside the YAML file, with a project, a registry and a view of its own."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        name = name_of(request)
        fill(EXAMPLE, request.target_path, {"NAME": name})
        repository = ROOT + in_project(request, REPOSITORY)
        dg.scaffold_component(request, {"repository": repository, "variable": "", "registry": f"{name}_registry"})


class TrainingSetScaffolder(dg.Scaffolder):
    """Writes a training set of the first feature service that the location's repository has."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        folder = _repository(request)
        repository = read_repository(folder)
        if not repository.services:
            raise ValueError(f"{folder} has no feature service, which is what a training set is joined from")
        service = repository.services[0]
        view = repository.view(service.views[0])
        keys = ", ".join(view.key_names)
        attributes = {
            "name": name_of(request),
            "feature_service": service.name,
            "entities": f"select {keys}, now() as event_timestamp from {view.table}",  # noqa: S608 - names of the repository
            "repository": ROOT + _below(folder, request),
            "variable": "",
            "description": f"Features of {service.name} as they are now.",
        }
        dg.scaffold_component(request, attributes)


def _repository(request: dg.ScaffoldRequest) -> Path:
    root = request.project_root or request.target_path
    found = [file.parent for file in root.rglob(SETTINGS) if ".venv" not in file.parts]
    if not found:
        raise ValueError(
            f"there is no {SETTINGS} below {root}: scaffold terrane_features.components.FeatureViews before it"
        )
    return sorted(found)[0]


def _below(folder: Path, request: dg.ScaffoldRequest) -> str:
    return str(folder.relative_to(request.project_root)) if request.project_root else str(folder)
