"""What tests of this location share: a copy of the Feast repository, to be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3] / "feast_repo"


@pytest.fixture
def repository_copy(tmp_path: Path) -> Path:
    folder = tmp_path / "feast_repo"
    shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
