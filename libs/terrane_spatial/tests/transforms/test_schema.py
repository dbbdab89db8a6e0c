"""`dg check yaml` finds a wrong step or parameter by its line, from the schema that editors complete by."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from terrane_spatial.transforms.parsing import LIBRARY
from terrane_spatial.transforms.schema import step_schema

pytestmark = pytest.mark.unit

WRONG = """\
type: terrane_spatial.components.SpatialDataset

attributes:
  dataset: rivers
  description: Rivers.
  inputs: [rivers]
  steps:
    - repair: {table: rivers, keep: polygon}
    - reprojct: {table: rivers}
    - clip:
        table: Rivers
        bounds: [1, 2, 3]
    - simplify: {table: rivers, toleranz: 2}
  outputs: [rivers]
  row_count: rivers
  freshness: {reason: none}
"""


def test_every_wrong_step_and_parameter_is_found_by_its_line(project: Path) -> None:
    folder = project / "src/rivers/defs/rivers"
    folder.mkdir()
    (folder / "defs.yaml").write_text(WRONG)
    environment = os.environ | {"VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(project / "src"), "COLUMNS": "300"}
    done = subprocess.run(
        [Path(sys.executable).parent / "dg", "check", "yaml"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert set(re.findall(r"defs\.yaml:(\d+) - \S+ attributes\.(\S+)", done.stdout)) == {
        ("8", "steps.0.repair.keep"),
        ("9", "steps.1.reprojct"),
        ("11", "steps.2.clip.table"),
        ("12", "steps.2.clip.bounds"),
        ("13", "steps.3.simplify"),
        ("13", "steps.3.simplify.toleranz"),
    }
    assert "'polygon' is not one of ['points', 'lines', 'polygons', None]" in done.stdout


@pytest.mark.parametrize("name", LIBRARY)
def test_every_step_has_a_schema_without_references(name: str) -> None:
    schema = step_schema()["properties"][name]
    assert "table" in schema["required"]
    assert "$ref" not in str(schema)


def test_what_a_location_declares_fits_the_schema() -> None:
    declared = yaml.safe_load((Path(__file__).parents[1] / "places/defs.yaml").read_text())["attributes"]["steps"]
    validator = Draft202012Validator(step_schema())
    assert [error for step in declared for error in validator.iter_errors(step)] == []
