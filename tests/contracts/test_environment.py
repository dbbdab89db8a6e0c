"""Every variable that a location reads is in the platform's table, or in what the location says of itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from terrane.environment import VARIABLES
from terrane_cli.locations.description import read_location
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

READS = (
    r"EnvVar\(\"([A-Z][A-Z0-9_]+)\"\)",
    r"environ(?:\.get)?[\[(]\"([A-Z][A-Z0-9_]+)\"",
    r"getenv\(\"([A-Z][A-Z0-9_]+)\"",
    r"env_var\(['\"]([A-Z][A-Z0-9_]+)",
    r"\$\{([A-Z][A-Z0-9_]+)\}",
)
READERS = (".py", ".yml", ".yaml")
# What every process has, what says where a cache goes, and what texts call any variable.
OF_ANY = {"HOME", "PATH", "XDG_CACHE_HOME", "NAME"}


def test_every_variable_that_is_read_is_in_a_table(project: Project) -> None:
    given = {v.name for v in VARIABLES} | OF_ANY
    for name in project.locations:
        location = read_location(project, name)
        folders = [project.location_folder(name) / "src", *(project.root / beside for beside in location.folders)]
        assert _read(*folders) - given - location.variables.keys() == set(), name
        assert _read(*(library / "src" for library in project.libraries_of(name))) - given == set()


def test_no_library_knows_a_location_by_name(project: Project) -> None:
    """Of the command, the demo alone does: it tells the story of the locations there are."""
    words = re.compile(rf"code_locations/({'|'.join(project.locations)})\b")
    files = [f for library in (project.root / "libs").iterdir() for f in library.rglob("*.py")]
    named = {f for f in files if not {"tests", "demo"} & set(f.parts) and words.search(f.read_text())}
    assert named == set()
    for variable in VARIABLES:
        assert not set(variable.readers.split(", ")) & set(project.locations), variable.name


def _read(*folders: Path) -> set[str]:
    """The variables that files below the folders read."""
    files = [f for folder in folders for f in folder.rglob("*") if f.suffix in READERS and "target" not in f.parts]
    return {name for f in files for pattern in READS for name in re.findall(pattern, f.read_text())}
