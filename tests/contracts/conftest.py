"""Every location's declarations, read once, each in its own environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from terrane_cli.project import Project, program

DESCRIBE = Path(__file__).parent / "describe_location.py"
# A definition load needs no address and no password: the platform's variables are taken away before it.
KEPT = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"}


@pytest.fixture(scope="session")
def locations(project: Project) -> dict[str, dict[str, Any]]:
    """What each location declares, by location: assets, sources, jobs, sensors, schedules, imported modules."""
    return {name: _describe(project, name) for name in project.locations}


def _describe(project: Project, location: str) -> dict[str, Any]:
    folder = project.location_folder(location)
    # Of this checkout, whichever it is that the environment was made for.
    sources = [str(package / "src") for package in project.local_packages(folder, development=False)]
    environment = {k: v for k, v in os.environ.items() if k in KEPT} | {"PYTHONPATH": os.pathsep.join(sources)}
    command = [program(folder, "python"), DESCRIBE, location]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{location} does not load:\n{done.stderr[-4000:]}"
    return json.loads(done.stdout)
