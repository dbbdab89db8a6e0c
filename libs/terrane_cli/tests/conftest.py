"""A checkout of two locations, with a state folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrane_cli.project import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("TERRANE_STATE", raising=False)
    for name in ("hydrology", "soils"):
        folder = tmp_path / "code_locations" / name
        folder.mkdir(parents=True)
        (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    return Project(tmp_path)
