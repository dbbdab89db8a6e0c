"""The umbrella's dependencies are packed where something changed, and otherwise left as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from terrane_cli.charts.dependencies import ensure_dependencies
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

ABOUT_OUR_CHARTS_ALONE = True


@pytest.fixture
def checkout(own_charts: Path, official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A checkout of charts alone, to be changed."""
    shutil.copytree(own_charts, tmp_path / "charts")
    monkeypatch.setenv("TERRANE_DAGSTER_CHART", str(official))
    return Project(tmp_path)


def test_what_did_not_change_is_not_packed_again(checkout: Project) -> None:
    folder, filled = ensure_dependencies(checkout)
    assert filled
    before = _state(folder)
    assert "dagster" in " ".join(before)
    assert ensure_dependencies(checkout) == (folder, False)
    assert _state(folder) == before


def test_a_change_of_a_store_s_chart_is_packed(checkout: Project) -> None:
    folder, _ = ensure_dependencies(checkout)
    before = _state(folder)
    values = checkout.root / "charts/redis/values.yaml"
    values.write_text(f"{values.read_text()}\n# changed\n")
    assert ensure_dependencies(checkout) == (folder, True)
    assert _state(folder) != before


def test_one_that_somebody_deleted_is_packed_again(checkout: Project) -> None:
    folder, _ = ensure_dependencies(checkout)
    (packed,) = folder.glob("redis-*.tgz")
    packed.unlink()
    assert ensure_dependencies(checkout) == (folder, True)
    assert packed.exists()


def test_another_official_chart_is_taken(checkout: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = ensure_dependencies(checkout)
    (packed,) = folder.glob("dagster-*.tgz")
    other = tmp_path / packed.name
    shutil.copy(packed, other)
    monkeypatch.setenv("TERRANE_DAGSTER_CHART", str(other))
    assert ensure_dependencies(checkout) == (folder, True)


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    """Time and size of each file, by which a watcher sees a change."""
    return {file.name: (file.stat().st_mtime_ns, file.stat().st_size) for file in folder.iterdir()}
