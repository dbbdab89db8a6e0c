"""What belongs together has a folder of its own: none holds so many modules that nobody guesses where a thing is."""

from __future__ import annotations

from collections import Counter

import pytest

from terrane_cli.project import Project

pytestmark = pytest.mark.unit

MOST_MODULES = 16


def test_no_folder_holds_more_modules_than_can_be_seen_at_once(project: Project) -> None:
    sources = [*(project.root / "libs").glob("*/src"), project.root / "libs/terrane_cli/terrane_cli"]
    sources += [project.location_folder(name) / "src" for name in project.locations]
    modules = Counter(file.parent for folder in sources for file in folder.rglob("*.py") if file.stem != "__init__")
    crowded = {str(f.relative_to(project.root)): n for f, n in modules.items() if n > MOST_MODULES}
    assert crowded == {}
    assert len(modules) > 20
