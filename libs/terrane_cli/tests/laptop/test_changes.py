"""Which locations are loaded again: those whose own files, libraries or folders beside them are not as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrane_cli.laptop.changes import Loaded, digest
from terrane_cli.project import Project

pytestmark = pytest.mark.unit


@pytest.fixture
def loaded(project: Project) -> Loaded:
    """Both locations, loaded as they are; hydrology with a library and a folder beside it."""
    (project.root / "libs/waters/src").mkdir(parents=True)
    (project.root / "libs/waters/pyproject.toml").write_text('[project]\nname = "waters"\n')
    (project.root / "rivers").mkdir()
    (project.root / "rivers/nile.sql").write_text("select 1")
    (project.location_folder("hydrology") / "pyproject.toml").write_text(
        '[project]\nname = "hydrology"\ndependencies = ["waters"]\n'
        '[tool.uv.sources]\nwaters = { path = "../../libs/waters" }\n'
    )
    (project.location_folder("hydrology") / "location.yaml").write_text('kind: plain\nfolders: {rivers: ["*"]}\n')
    made = Loaded(project)
    for name in project.locations:
        made.keep(name, digest(project, name))
    return made


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("code_locations/hydrology/src/hydrology/defs/new.yaml", ["hydrology"]),
        ("code_locations/hydrology/location.yaml", ["hydrology"]),
        ("libs/waters/src/waters.py", ["hydrology"]),
        ("rivers/nile.sql", ["hydrology"]),
        ("code_locations/soils/pyproject.toml", ["soils"]),
        ("code_locations/soils/tests/test_soils.py", []),
        ("code_locations/soils/src/__pycache__/soils.pyc", []),
        ("rivers/target/manifest.json", []),
        ("docs/soils.md", []),
    ],
)
def test_what_is_written_changes_those_that_load_it(
    project: Project, loaded: Loaded, file: str, changed: list[str]
) -> None:
    assert [name for name in project.locations if loaded.is_changed(name)] == []
    target: Path = project.root / file
    target.parent.mkdir(parents=True, exist_ok=True)
    text = target.read_text() if target.exists() else ""
    target.write_text(f"{text}\n")
    assert [name for name in project.locations if loaded.is_changed(name)] == changed


def test_what_was_never_loaded_is_not_changed(project: Project, loaded: Loaded) -> None:
    loaded.forget("soils")
    (project.location_folder("soils") / "new.py").touch()
    assert not loaded.is_changed("soils")
