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


def test_this_checkout_holds_the_three_domains() -> None:
    assert {"analytics", "features", "spatial"} <= set(Project.here().locations)
