"""Making a location from its kind's template, and removing one with all that follows from it.

A template is a folder of files that end with `.in`: `$NAME` in a path or a text is the location's name. What cannot be
finished leaves nothing behind. The cost is that of a lock and an environment: seconds where the package cache has both.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from terrane.components.scaffolding import fill
from terrane_cli.commands import CliError
from terrane_cli.locations import generate
from terrane_cli.locations.description import Kind, LocationError, check_name, read_location
from terrane_cli.project import Project, program
from terrane_cli.setup.environments import ensure_environment, find_uv
from terrane_cli.setup.locks import compile_lock

TEMPLATES = Path(__file__).parent / "templates"
# What every kind begins with.
ANY = "any"
# The asset that a template makes, for the tests it comes with.
KEYS = {
    Kind.PLAIN: ["exports", "{name}_numbers"],
    Kind.DBT: ["{name}", "days"],
    Kind.SPATIAL: ["data_lake", "{name}"],
    Kind.FEATURES: ["online", "{name}_numbers"],
}
PURPOSES = {
    Kind.PLAIN: "Assets of plain Python",
    Kind.DBT: "Models of a dbt project in the warehouse",
    Kind.SPATIAL: "Spatial batches, from the landing zone through PostGIS into the lake",
    Kind.FEATURES: "Features of a Feast repository, from the warehouse into Redis",
}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """A location that was made: its folder, and the files elsewhere that the generator wrote."""

    folder: Path
    written: list[str]


def make(project: Project, name: str, kind: Kind, tell: Tell = lambda _: None) -> Made:
    """Makes a location that loads: definitions, an asset, a check, tests, locks, an environment, its place elsewhere.

    Raises LocationError, with nothing left behind, for a name that is taken or can't be one, and where lock,
    environment or definitions fail.
    """
    check_name(name)
    folder = project.location_folder(name)
    if folder.exists():
        raise LocationError(f"code_locations/{name} is there already")
    # What is wrong with another is told before anything is made.
    generate.derived(project)
    try:
        _write_files(project, name, kind)
        tell(f"{name}: files are written")
        read_location(project, name)
        written = generate.write(project)
        compile_lock(project, folder, upgrade=False)
        tell(f"{name}: locks are compiled")
        ensure_environment(project, folder, find_uv(project), development=True)
        check(project, name)
        tell(f"{name}: definitions load")
    except (CliError, OSError) as problem:
        shutil.rmtree(folder, ignore_errors=True)
        generate.write(project)
        raise LocationError(f"{name} is not made: {problem}") from problem
    return Made(folder, written)


def remove(project: Project, name: str) -> list[str]:
    """Removes the location's folder, its environment in it, and what follows from it; returns the files written anew.

    Raises LocationError for a name that is no location. What it stored in warehouse, lake and event log stays.
    """
    folder = project.location_folder(name)
    if not re.fullmatch(r"[\w-]+", name) or not folder.is_dir():
        raise LocationError(f"there is no location {name}; there are {', '.join(project.locations)}")
    shutil.rmtree(folder)
    return generate.write(project)


def check(project: Project, name: str) -> None:
    """Loads the definitions with the location's own `dg`. Raises LocationError with what it says."""
    folder = project.location_folder(name)
    # Loading asks for no instance, and this machine's may have its database stopped.
    variables = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    command = [program(folder, "dg"), "check", "defs"]
    own = variables | {"VIRTUAL_ENV": str(folder / ".venv")}
    done = subprocess.run(command, cwd=folder, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise LocationError(f"its definitions do not load:\n{done.stdout.strip()[-4000:]}")


def _write_files(project: Project, name: str, kind: Kind) -> None:
    words = _words(project, name, kind)
    # What a kind begins with beside its definitions is its library's example, which `dg scaffold defs` takes as well.
    example = project.root / f"libs/terrane_{kind}/src/terrane_{kind}/example"
    for templates in (TEMPLATES / ANY, example, TEMPLATES / kind):
        fill(templates, project.location_folder(name), words)


def _words(project: Project, name: str, kind: Kind) -> dict[str, str]:
    library = "" if kind is Kind.PLAIN else f'\n  "terrane-{kind}",'
    source = "" if kind is Kind.PLAIN else _source(f"terrane_{kind}")
    return {
        "NAME": name,
        "KIND": kind,
        "DESCRIPTION": PURPOSES[kind],
        "KEY": str([part.format(name=name) for part in KEYS[kind]]).replace("'", '"'),
        "LIBRARY": library,
        "SOURCE": source,
        "DAGSTER": _locked(project, "dagster"),
        "INTEGRATIONS": _locked(project, "dagster-aws"),
    }


def _source(library: str) -> str:
    return f'\n{library.replace("_", "-")} = {{ path = "../../libs/{library}", editable = true }}'


def _locked(project: Project, package: str) -> str:
    """The version that the workspace has of a package."""
    found = re.search(rf"^{package}==(\S+)", (project.root / "requirements.lock").read_text(), re.MULTILINE)
    assert found, f"requirements.lock has no {package}"
    return found[1]
