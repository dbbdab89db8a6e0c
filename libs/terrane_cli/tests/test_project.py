"""A location is a folder: adding one is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrane_cli.project import Project

pytestmark = pytest.mark.unit


def test_every_folder_with_a_project_is_a_location(project: Project) -> None:
    (project.root / "code_locations/notes").mkdir()
    assert project.locations == ["hydrology", "soils"]


def test_state_can_be_put_elsewhere(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.state == project.root / ".terrane"
    monkeypatch.setenv("TERRANE_STATE", str(tmp_path / "second"))
    assert project.state == tmp_path / "second"


def test_a_location_s_libraries_are_those_it_runs_with_and_theirs(tmp_path: Path) -> None:
    _describe(tmp_path, "code_locations/maps", ["maps-kit>=1", "pyproj"], ["for-tests"])
    _describe(tmp_path, "libs/maps_kit", ["base"])
    _describe(tmp_path, "libs/base", [])
    _describe(tmp_path, "libs/for_tests", [])
    found = Project(tmp_path).libraries_of("maps")
    assert [folder.name for folder in found] == ["base", "maps_kit"]


def test_a_library_is_tested_once_where_what_its_tests_need_is_installed(tmp_path: Path) -> None:
    _describe(tmp_path, "", ["base"])
    _describe(tmp_path, "libs/base", [])
    _describe(tmp_path, "libs/unused", [])
    _describe(tmp_path, "libs/maps_kit", ["base"], ["geopandas", "pytest"])
    _describe(tmp_path, "code_locations/atlas", ["maps-kit"], ["pytest"])
    _describe(tmp_path, "code_locations/maps", ["maps-kit"], ["geopandas>=1", "pytest"])
    _describe(tmp_path, "code_locations/roads", ["maps-kit"], ["geopandas>=1", "pytest"])
    project = Project(tmp_path)
    tested = {name: [folder.name for folder in project.tested_libraries(name)] for name in project.locations}
    assert tested == {"atlas": [], "maps": ["maps_kit"], "roads": []}
    assert project.environment_of(tmp_path / "libs/base") == tmp_path
    assert project.environment_of(tmp_path / "libs/unused") is None


def _describe(root: Path, folder: str, dependencies: list[str], development: list[str] | None = None) -> None:
    """Writes a pyproject.toml; `maps-kit`, `base` and `for-tests` are libraries beside it."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    lines = [f"[project]\ndependencies = {dependencies}", f"[dependency-groups]\ndev = {development or []}"]
    paths = {"maps-kit": "maps_kit", "base": "base", "for-tests": "for_tests"}
    libraries = "../../libs" if folder else "libs"
    lines += ["[tool.uv.sources]", *(f"{name} = {{path = '{libraries}/{path}'}}" for name, path in paths.items())]
    (root / folder / "pyproject.toml").write_text("\n".join(lines))
