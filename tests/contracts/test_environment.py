"""Every variable that anything reads is in the one table, and the table is in the docs."""

from __future__ import annotations

import re

import pytest

from terrane.environment import VARIABLES, as_markdown
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


def test_every_variable_that_is_read_is_in_the_table(project: Project) -> None:
    folders = [project.location_folder(name) / "src" for name in project.locations]
    folders += [library / "src" for name in project.locations for library in project.libraries_of(name)]
    folders += [project.root / beside for name in project.locations for beside in read_location(project, name).folders]
    files = [f for folder in folders for f in folder.rglob("*") if f.suffix in READERS and "target" not in f.parts]
    read = {name for f in files for pattern in READS for name in re.findall(pattern, f.read_text())}
    # What every process has, what says where a cache goes, and what texts call any variable.
    assert read - {v.name for v in VARIABLES} - {"HOME", "PATH", "XDG_CACHE_HOME", "NAME"} == set()


def test_the_docs_hold_the_table(project: Project) -> None:
    assert (project.root / "docs/environment.md").read_text() == as_markdown(), "run `make docs`"
