"""A location can be deleted or added without touching another: nothing reaches from one into another."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from terrane_cli.locations.description import Kind, read_location
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

LONGEST_TABLE_OF_CONTENTS = 60
# Each costs 0.2 to 7 CPU seconds, in every code server's start and every run. boto3 is not among them: Dagster itself
# imports whatever registers components, and dagster-aws does (0.5 s).
HEAVY = {
    "dbt",
    "feast",
    "geopandas",
    "kubernetes",
    "pandas",
    "PIL",
    "psycopg2",
    "pyarrow",
    "pyogrio",
    "pystac",
    "rasterio",
    "redis",
    "shapely",
}
# dbt's component reads its manifest with dbt's own classes.
ALLOWED = {Kind.DBT: {"dbt"}}


def test_loading_definitions_imports_nothing_heavy_and_opens_no_connection(
    locations: dict[str, dict[str, Any]], project: Project
) -> None:
    kinds = {name: read_location(project, name).kind for name in locations}
    loaded = {name: HEAVY & set(described["modules"]) for name, described in locations.items()}
    loaded = {name: modules - ALLOWED.get(kinds[name], set()) for name, modules in loaded.items()}
    assert {name: modules for name, modules in loaded.items() if modules} == {}


def test_no_location_imports_another(project: Project) -> None:
    for name in project.locations:
        others = set(project.locations) - {name}
        assert _imports(project.location_folder(name)) & others == set(), name


def test_what_is_shared_imports_no_location(project: Project) -> None:
    beside = {folder for name in project.locations for folder in read_location(project, name).folders}
    for folder in ("libs", "samples", *sorted(beside)):
        assert _imports(project.root / folder) & set(project.locations) == set(), folder


def test_definitions_are_a_table_of_contents(project: Project) -> None:
    for name in project.locations:
        file = project.location_folder(name) / f"src/{name}/definitions.py"
        assert len(file.read_text().splitlines()) <= LONGEST_TABLE_OF_CONTENTS, name


def test_no_module_is_longer_than_400_lines(project: Project) -> None:
    folders = [project.root / "libs", *(project.location_folder(name) / "src" for name in project.locations)]
    long = [f for folder in folders for f in folder.rglob("*.py") if len(f.read_text().splitlines()) > 400]
    assert long == []


def _imports(folder: Path) -> set[str]:
    """The top-level packages that the folder's Python imports, in functions too."""
    found = set()
    for file in folder.rglob("*.py"):
        if ".venv" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found
