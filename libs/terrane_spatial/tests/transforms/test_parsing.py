"""What a dataset's YAML may say of its steps, and how a mistake is named: by dataset, step and parameter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from terrane_spatial.transforms.library.cleaning import Repair
from terrane_spatial.transforms.parsing import LIBRARY, Script, StepsError, parse

pytestmark = pytest.mark.unit

DOCUMENTATION = Path(__file__).parents[4] / "docs" / "spatial.md"


def mistake(*entries: Any) -> str:
    with pytest.raises(StepsError) as caught:
        parse("roads", entries, Path("/nonexistent"))
    return str(caught.value)


def test_the_library_has_the_steps_that_are_promised() -> None:
    promised = "repair reproject dedupe clip dissolve simplify buffer subdivide spatial_join aggregate_to_grid"
    assert set(promised.split()) <= set(LIBRARY)


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_every_step_and_parameter_is_in_the_documentation(name: str) -> None:
    (row,) = [line for line in DOCUMENTATION.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    common = {"table", "into"}
    parameters = {field.alias or own for own, field in LIBRARY[name].model_fields.items()} - common
    assert [parameter for parameter in sorted(parameters) if f"`{parameter}`" not in row] == []


def test_steps_and_sql_files_stay_in_order(tmp_path: Path) -> None:
    (tmp_path / "own.sql").write_text("select 1")
    steps = parse("roads", [{"repair": {"table": "roads"}}, {"sql": "own.sql"}], tmp_path)
    assert steps == (Repair(table="roads"), Script(tmp_path / "own.sql"))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"mend": {"table": "roads"}},
            "dataset roads: step 1: there is no step 'mend'; expected one of select",
        ),
        ({"repair": {}}, "dataset roads: step 1 (repair), table: missing, and it is required"),
        ({"repair": {"table": "roads", "keep": "polys"}}, "step 1 (repair), keep: input should be 'points', 'lines'"),
        (
            {"repair": {"table": "roads", "kept": 1}},
            "step 1 (repair), kept: unknown parameter; expected only table",
        ),
        ({"repair": {"table": "Roads; drop"}}, "step 1 (repair), table: expected at most 59 lower-case letters"),
        ({"repair": {"table": "_tally"}}, "step 1 (repair), table: expected at most 59 lower-case letters"),
        (
            {"simplify": {"table": "roads", "tolerance": 0}},
            "(simplify), tolerance: input should be greater than 0",
        ),
        ({"simplify": {"table": "roads", "tolerance": float("nan")}}, "(simplify), tolerance: "),
        (
            {"reproject": {"table": "roads", "to": "+proj=utm"}},
            "(reproject), to: input should be a valid integer, got",
        ),
        ({"clip": {"table": "roads"}}, "(clip), bounds: expected either bounds or to"),
        ({"clip": {"table": "roads", "bounds": [5, 0, 1, 1]}}, "(clip), bounds: expected xmin, ymin, xmax, ymax"),
        (
            {"dedupe": {"table": "roads", "geometry": False}},
            "(dedupe), by: expected columns, where the geometry",
        ),
        (
            {"dissolve": {"table": "roads", "by": ["geometry"]}},
            "(dissolve), by.0: expected a column other than",
        ),
        ({"dissolve": {"table": "roads", "aggregates": {"n": {"evil": "x"}}}}, "(dissolve), aggregates"),
        ({"spatial_join": {"table": "roads", "with": "roads", "columns": {"a": "b"}}}, "with: expected another table"),
        ({"spatial_join": {"table": "roads", "with": "zones"}}, "columns: expected either columns or aggregates"),
        ({"select": {"table": "roads", "columns": {"a": {"from": "b", "type": "oid"}}}}, "(select), columns"),
        ({"sql": "../secret.sql"}, "step 1: (sql): expected the name of a file beside the YAML file"),
        ({"sql": "gone.sql"}, "step 1: (sql): there is no file gone.sql in /nonexistent"),
        ({"repair": {"table": "roads"}, "clip": {}}, "step 1: expected a name with its parameters"),
        ({"repair": "roads"}, 'step 1: (repair): expected parameters by name, got "roads"'),
        ("repair", "step 1: expected a name with its parameters"),
    ],
)
def test_a_mistake_is_named(entry: Any, said: str) -> None:
    assert said in mistake(entry)


def test_every_mistake_is_told_at_once() -> None:
    said = mistake({"repair": {}}, {"clip": {"table": "roads"}}, {"mend": {}})
    assert [part in said for part in ("step 1 (repair)", "step 2 (clip)", "step 3: there is no step")] == [True] * 3
