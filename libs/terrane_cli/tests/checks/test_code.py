"""What is imported has to be declared, in the workspace, in libraries and in locations."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrane_cli.checks.code import check_dependencies
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

PYPROJECT = '[project]\nname = "{name}"\nversion = "1"\ndependencies = {dependencies}\n[tool.uv.sources]\n'
LIBRARY = 'kit = {path = "../../libs/kit"}\n'


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """A workspace, a library and a location, each with one module, with the packages of this checkout's workspace."""
    _write(tmp_path, "", "workspace", "libs/terrane_cli/terrane_cli", [])
    _write(tmp_path, "libs/kit", "kit", "src", ["psutil"])
    _write(tmp_path, "code_locations/maps", "maps", "src", ["kit", "psutil"])
    for folder in (tmp_path, tmp_path / "code_locations/maps"):
        (folder / ".venv").symlink_to(Project.here().root / ".venv")
    return Project(tmp_path)


def _write(root: Path, folder: str, name: str, source: str, dependencies: list[str]) -> None:
    package = root / folder / source / ("" if source.startswith("libs") else name)
    package.mkdir(parents=True)
    (package / "module.py").write_text("import psutil\n" if dependencies else "import json\n")
    text = PYPROJECT.format(name=name, dependencies=dependencies) + (LIBRARY if "kit" in dependencies else "")
    (root / folder / "pyproject.toml").write_text(f"{text}[tool.deptry]\nignore = ['DEP002']\n")


def test_what_is_declared_may_be_imported(small: Project) -> None:
    assert check_dependencies(small)


@pytest.mark.parametrize("file", ["libs/terrane_cli/terrane_cli", "libs/kit/src/kit", "code_locations/maps/src/maps"])
def test_what_is_not_declared_is_found_and_named(small: Project, file: str, capfd: pytest.CaptureFixture[str]) -> None:
    (small.root / file / "module.py").write_text("import httpx\n")
    assert not check_dependencies(small)
    assert "'httpx' imported but it is a transitive dependency" in capfd.readouterr().err
