"""What follows from the locations elsewhere in the checkout: whole files, and parts of files between two marks.

One command writes all of it, and a contract test holds it to the folders. The cost is that of reading each location's
location.yaml and pyproject.toml: nothing is installed or imported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from terrane_cli import generated
from terrane_cli.locations import chart, skaffold, variables
from terrane_cli.locations.description import Location, LocationError, read_locations
from terrane_cli.locations.images import Built, built
from terrane_cli.project import Project

CHART = "charts/platform/values/locations.yaml"
SKAFFOLD = "skaffold.yaml"
WORKSPACE = "pyproject.toml"
IMAGES = "images/locations.json"
DOCS = "docs/environment.md"
# First-party packages that are no library of their own.
NOT_LIBRARIES = ("source_api", "terrane_cli")
MARKS = re.compile(
    r"^ *# Locations, (?P<part>[\w ]+): written by `make locations`\.\n(.*?)^ *# End of locations\.\n", re.M | re.S
)

Parts = dict[str, str]


def derived(project: Project) -> dict[Path, str]:
    """The text of every file that follows from the locations, as it has to be.

    Raises LocationError that names everything that is wrong, and then nothing is to be written: leaving out a location
    that is wrong would take it from the platform.
    """
    locations, wrong = read_locations(project)
    wrong += _half_made(project)
    images = {}
    for name, location in locations.items():
        try:
            images[name] = built(project, name, location)
        except LocationError as problem:
            wrong.append(str(problem))
    if wrong:
        raise LocationError("\n".join(wrong))
    return {
        project.root / CHART: chart.values(locations),
        project.root / IMAGES: _images(images),
        project.root / DOCS: variables.page(project, locations),
        project.root / SKAFFOLD: _filled(
            project.root / SKAFFOLD,
            {
                "images": skaffold.artifacts(images),
                "what was just built": skaffold.templates(images),
                "volumes": skaffold.settings(images),
            },
        ),
        project.root / WORKSPACE: _filled(
            project.root / WORKSPACE,
            {
                "projects": _projects(locations),
                "packages": _packages(project, locations),
                "paths": _paths(project),
            },
        ),
    }


def outdated(project: Project) -> list[str]:
    """The files, below the root, that are not what follows from the locations. Raises as `derived` does."""
    return [str(file.relative_to(project.root)) for file in generated.outdated(derived(project))]


def write(project: Project) -> list[str]:
    """Writes the files that are not what follows from the locations; returns them. Raises as `derived` does."""
    return [str(file.relative_to(project.root)) for file in generated.write(derived(project))]


def _half_made(project: Project) -> list[str]:
    folders = {file.parent.name for file in (project.root / "code_locations").glob("*/location.yaml")}
    return [
        f"code_locations/{name}/pyproject.toml is missing: without it the folder is no location"
        for name in sorted(folders - set(project.locations))
    ]


def _images(images: dict[str, Built]) -> str:
    """Each location's image, for builds that have no package to read YAML with."""
    content = {name: {"dockerfile": i.dockerfile, "arguments": i.arguments} for name, i in images.items()}
    return json.dumps(content, indent=2) + "\n"


def _projects(locations: dict[str, Location]) -> str:
    return "\n".join(f'[[tool.dg.workspace.projects]]\npath = "code_locations/{name}"\n' for name in locations)


def _packages(project: Project, locations: dict[str, Location]) -> str:
    names = sorted({*locations, *NOT_LIBRARIES, *(library.name for library in project.libraries)})
    return "known-first-party = [\n" + "".join(f'  "{name}",\n' for name in names) + "]\n"


def _paths(project: Project) -> str:
    """Where imports of tests are found: what tests have to themselves is below `tests/support`."""
    folders = [
        f.parent for pattern in ("code_locations", "libs") for f in project.root.glob(f"{pattern}/*/tests/support/")
    ]
    support = sorted(str((folder / "support").relative_to(project.root)) for folder in folders)
    return "extraPaths = [\n" + "".join(f'  "{path}",\n' for path in ["samples", *support]) + "]\n"


def _filled(file: Path, parts: Parts) -> str:
    """The file's text with each part between its marks. Raises LocationError where the file has no marks for a part."""
    text = file.read_text()
    marked = {found["part"] for found in MARKS.finditer(text)}
    if missing := sorted(set(parts) - marked):
        raise LocationError(f"{file.name} has no marks for {', '.join(missing)}: they were taken out")
    return MARKS.sub(_filler(parts), text)


def _filler(parts: Parts) -> Callable[[re.Match[str]], str]:
    def fill(found: re.Match[str]) -> str:
        if found["part"] not in parts:
            return found[0]
        first, *_, last = found[0].splitlines(keepends=True)
        return first + parts[found["part"]] + last

    return fill
