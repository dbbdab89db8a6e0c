"""What is checked without running code: definitions, types, and that what is imported is declared."""

from __future__ import annotations

import os
from pathlib import Path

from terrane_cli.commands import show
from terrane_cli.console import console
from terrane_cli.locations.description import read_locations
from terrane_cli.project import Project, program

# deptry reads what is installed where it runs itself; so the other environment's packages come after its own.
DEPTRY = "import sys; sys.path += [sys.argv.pop(1)]; from deptry.cli import deptry; deptry()"


def check_definitions(project: Project) -> bool:
    """Loads each location's definitions with its own `dg`; returns whether all load. Nothing needs to run for it."""
    # Loading asks for no instance, and this machine's may have its database stopped.
    variables = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    codes = []
    for name in project.locations:
        folder = project.location_folder(name)
        console.print(f"[bold]{name}[/]")
        own = variables | {"VIRTUAL_ENV": str(folder / ".venv")}
        codes.append(show([program(folder, "dg"), "check", "defs"], folder=folder, environment=own))
    return not any(codes)


def check_types(project: Project) -> bool:
    """Runs pyright over each part with the interpreter that its imports come from; returns whether all pass."""
    root = project.root
    own = ["libs/terrane", "libs/terrane_dev", "libs/terrane_cli", "tests", "samples/source_api"]
    benchmarks = [f"benchmarks/{name}.py" for name in ("report", "platform", "locations", "environments/touching")]
    parts = [(root, [*own, *benchmarks])]
    locations, wrong = read_locations(project)
    for problem in wrong:
        console.print(problem, style="red", markup=False)
    for name, location in locations.items():
        libraries = [f"libs/{library.name}" for library in project.tested_libraries(name)]
        folders = [f"code_locations/{name}", *libraries, *location.python_elsewhere]
        parts.append((project.location_folder(name), folders))
    codes = []
    for environment, folders in parts:
        console.print(f"[bold]{' '.join(folders)}[/]")
        pyright = [program(root, "pyright"), "--pythonpath", program(environment, "python")]
        codes.append(show([*pyright, *folders], folder=root))
    return not wrong and not any(codes)


def check_dependencies(project: Project) -> bool:
    """Runs deptry over the workspace, each library and each location; returns whether what they import is declared."""
    root = project.root
    parts = [(root, root, "libs/terrane_cli/terrane_cli")]
    parts += [(folder, found, "src") for folder in project.libraries if (found := project.environment_of(folder))]
    parts += [(folder, folder, "src") for folder in map(project.location_folder, project.locations)]
    codes = []
    for folder, environment, source in parts:
        console.print(f"[bold]{folder.relative_to(root.parent)}[/]")
        deptry = [program(root, "python"), "-c", DEPTRY, _packages(environment), "--no-ansi"]
        codes.append(show([*deptry, source], folder=folder))
    return not any(codes)


def _packages(environment: Path) -> Path:
    """Where an environment's packages are."""
    return next((environment / ".venv/lib").glob("python3*/site-packages"))
