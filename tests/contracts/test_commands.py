"""What a developer types works on a checkout where nothing runs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from terrane_cli.project import Project, program

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def _terrane(project: Project, state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [program(project.root, "terrane"), *words]
    variables = os.environ | {"TERRANE_STATE": str(state)}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)


def test_every_location_checks(project: Project, tmp_path: Path) -> None:
    done = _terrane(project, tmp_path, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("All component YAML validated") + done.stdout.count("All definitions loaded") >= len(
        project.locations
    )


def test_dg_lists_what_a_location_holds(project: Project, tmp_path: Path) -> None:
    done = _terrane(project, tmp_path, "exec", "spatial", "dg", "list", "defs", "--json")
    assert done.returncode == 0, done.stderr
    assert "is not running" in done.stderr
    assert "data_lake/places" in [asset["asset_key"] for asset in json.loads(done.stdout)["assets"]]


def test_a_command_nobody_knows_is_answered_with_how_to_get_it(project: Project, tmp_path: Path) -> None:
    done = _terrane(project, tmp_path, "exec", "spatial", "no-such-command")
    assert done.returncode == 127
    assert "is no command of" in done.stdout


def test_real_files_are_tried_as_vectors_and_as_rasters(project: Project, tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": [1, 2]}
    (tmp_path / "point.geojson").write_text(json.dumps(point))
    command = ["make", "--no-print-directory", "real-files", f"FILES={tmp_path}"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| GeoJSON | 1 | 1 |" in done.stdout
    assert "compared with the file, pixel by pixel" in done.stdout
