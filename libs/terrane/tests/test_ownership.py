"""Whose a location's assets are: what location.yaml says, or the name of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrane.ownership import Ownership, ownership

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, Ownership("team:maps", "maps")),
        ("", Ownership("team:maps", "maps")),
        ("kind: plain\n", Ownership("team:maps", "maps")),
        ("owner: team:gis\n", Ownership("team:gis", "maps")),
        ("owner: a@b.example\ndomain: relief\n", Ownership("a@b.example", "relief")),
    ],
)
def test_it_is_what_the_location_says_or_its_name(tmp_path: Path, declared: str | None, expected: Ownership) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    if declared is not None:
        (folder / "location.yaml").write_text(declared)
    assert ownership(folder) == expected
