"""A checkout of two locations and the chart's values, with a state folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from terrane_cli.laptop.instance import VALUES
from terrane_cli.project import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("TERRANE_STATE", raising=False)
    for name in ("hydrology", "soils"):
        folder = tmp_path / "code_locations" / name
        folder.mkdir(parents=True)
        (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    (tmp_path / VALUES).parent.mkdir(parents=True)
    shutil.copy(Project.here().root / VALUES, tmp_path / VALUES)
    return Project(tmp_path)
