"""Takes dbt projects as they were published: `make dbt-projects FOLDER=...` loads each, and builds what asks for it.

Every folder below FOLDER that holds a dbt_project.yml is a project, those of packages left out; packages are installed
there before, by `dbt deps` or by hand. Beside a project's folder `<its name>.yaml` may say with which attributes of
`DbtModels` it is loaded, and `build: true` where its data are in it. Projects are copied, and nothing is written into
FOLDER. Figures go to benchmarks/results/analytics.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import yaml

from benchmarks.report import merge_figures
from benchmarks.spatial import server
from terrane.postgres import PostgresResource
from terrane_dbt.components import DbtModels
from terrane_dbt.dbt_project.manifest import ManifestFailed

COMMAND = "make dbt-projects"
PROJECT, PACKAGES = "dbt_project.yml", "dbt_packages"
BUILD = "build"


@dataclass(frozen=True)
class Tried:
    """A project, and what became of it.

    Attributes:
        attributes: with which it was loaded, each a line of its defs.yaml.
        assets, checks: how many it is.
        built: how many tables were made, or None where nobody asked for it or it failed.
        reason: why it does not load, or was not built.
    """

    name: str
    attributes: dict[str, Any]
    assets: int = 0
    checks: int = 0
    built: int | None = None
    reason: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    os.environ.pop("DBT_PROFILES_DIR", None)
    with server.running() as warehouse, tempfile.TemporaryDirectory() as scratch:
        os.environ |= variables(warehouse)
        found = [_try(folder, project, warehouse, Path(scratch, str(n))) for n, project in enumerate(_projects(folder))]
    if not found:
        sys.exit(f"no {PROJECT} below {folder}")
    for each in found:
        lines = ", ".join(f"{name}: {value}" for name, value in each.attributes.items()) or "nothing"
        built = "" if each.built is None else f", {each.built} tables built"
        print(f"{each.name}: {each.assets} assets, {each.checks} checks{built}; changed: {lines}. {each.reason}")
    loaded = [each for each in found if each.assets]
    figures: dict[str, float] = {
        "projects_tried": len(found),
        "projects_loaded": len(loaded),
        "projects_built": sum(each.built is not None for each in found),
        "lines_changed_a_project": max((len(each.attributes) for each in loaded), default=0),
    }
    merge_figures("analytics", figures, {"command": COMMAND, "repeats": 1})
    return 0 if len(loaded) == len(found) else 1


def variables(warehouse: PostgresResource) -> dict[str, str]:
    """By which dbt finds the warehouse."""
    known = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "DB": "database"}
    return {f"WAREHOUSE_{name}": str(getattr(warehouse, field)) for name, field in known.items()}


def _projects(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob(PROJECT)):
        if PACKAGES not in file.relative_to(folder).parts:
            yield file.parent


def _try(folder: Path, project: Path, warehouse: PostgresResource, copy: Path) -> Tried:
    name = project.relative_to(folder).as_posix()
    beside = project.parent / f"{project.name}.yaml"
    attributes = yaml.safe_load(beside.read_text()) if beside.is_file() else {}
    build = attributes.pop(BUILD, False)
    shutil.copytree(project, copy, symlinks=True)
    try:
        models = DbtModels(project=str(copy), **attributes).build_defs(SimpleNamespace(project_root=copy))  # pyright: ignore
    except (ManifestFailed, dg.DagsterError) as error:
        return Tried(name, attributes, reason=f"does not load: {' '.join(str(error).split())[:400]}")
    definitions = dg.Definitions.merge(models, dg.Definitions(resources={"warehouse": warehouse}))
    (assets,) = [a for a in models.assets or () if isinstance(a, dg.AssetsDefinition)]
    tried = Tried(name, attributes, len(list(assets.keys)), len(list(assets.check_specs)))
    if not build:
        return tried
    with dg.DagsterInstance.ephemeral() as instance:
        done = definitions.resolve_job_def("__ASSET_JOB").execute_in_process(instance=instance, raise_on_error=False)
    made = len(done.get_asset_materialization_events())
    if done.success:
        return Tried(name, attributes, tried.assets, tried.checks, made)
    told = next(e.event_specific_data.error.to_string() for e in done.all_events if e.is_step_failure)  # pyright: ignore
    return Tried(name, attributes, tried.assets, tried.checks, None, f"not built: {' '.join(told.split())[:400]}")


if __name__ == "__main__":
    raise SystemExit(main())
