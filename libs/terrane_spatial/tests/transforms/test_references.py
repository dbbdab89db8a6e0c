"""What a dataset's YAML refers to has to be there: tables, columns, outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing import create_defs_folder_sandbox

from terrane_spatial.components import SpatialDataset
from terrane_spatial.transforms.parsing import StepsError, parse
from terrane_spatial.transforms.references import check_references

pytestmark = pytest.mark.unit

CELLS = {"aggregate_to_grid": {"table": "roads", "cell": 1, "aggregates": {"length": {"sum": "metres"}}}}
NAMED = {"select": {"table": "roads", "columns": {"label": "name", "metres": "m"}}}


def checked(*entries: Any, folder: Path = Path("/nonexistent"), outputs: Sequence[str] = ()) -> None:
    check_references("roads", parse("roads", entries, folder), ["roads", "zones"], outputs)


def mistake(*entries: Any, folder: Path = Path("/nonexistent"), outputs: Sequence[str] = ()) -> str:
    with pytest.raises(StepsError) as caught:
        checked(*entries, folder=folder, outputs=outputs)
    return str(caught.value)


def test_a_table_that_nothing_makes_is_found() -> None:
    assert "step 1 (repair): there is no table rods yet; there are roads, zones" in mistake(
        {"repair": {"table": "rods"}}
    )
    assert "step 1 (clip): there is no table zone yet" in mistake({"clip": {"table": "roads", "to": "zone"}})
    checked({"repair": {"table": "roads", "into": "mended"}}, {"clip": {"table": "mended", "to": "zones"}})


def test_a_table_of_own_sql_is_one_that_its_text_names(tmp_path: Path) -> None:
    (tmp_path / "own.sql").write_text("create table Rods as select * from roads")
    checked({"sql": "own.sql"}, {"repair": {"table": "rods"}}, folder=tmp_path)
    assert "there is no table rails yet" in mistake({"sql": "own.sql"}, {"repair": {"table": "rails"}}, folder=tmp_path)


def test_a_table_is_not_made_twice() -> None:
    assert "step 1 (repair), into: there is a table zones already" in mistake(
        {"repair": {"table": "roads", "into": "zones"}}
    )


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            [NAMED, {"require": {"table": "roads", "columns": ["name"]}}],
            "(require), columns: there is no column name",
        ),
        (
            [NAMED, {"dedupe": {"table": "roads", "by": ["nam"]}}],
            "(dedupe), by: there is no column nam in roads",
        ),
        ([{"dissolve": {"table": "roads", "by": ["a"]}}, NAMED], "step 2 (select), columns: there is no column name"),
        ([CELLS, {"require": {"table": "roads", "columns": ["metres"]}}], "there are cell_x, cell_y, length"),
        (
            [NAMED, {"spatial_join": {"table": "zones", "with": "roads", "columns": {"road": "name"}}}],
            "step 2 (spatial_join), columns: there is no column name in roads; there are label, metres",
        ),
        (
            [
                {"select": {"table": "zones", "columns": {"zone": "id"}, "into": "short"}},
                {"spatial_join": {"table": "short", "with": "roads", "columns": {"road": "name"}}},
                {"require": {"table": "short", "columns": ["zone", "road", "rode"]}},
            ],
            "step 3 (require), columns: there is no column rode in short; there are road, zone",
        ),
    ],
)
def test_a_column_that_is_not_there_is_found_with_those_that_are(steps: list[Any], said: str) -> None:
    assert said in mistake(*steps)


def test_columns_that_may_be_there_are_left_for_the_run_to_find(tmp_path: Path) -> None:
    (tmp_path / "own.sql").write_text("alter table roads add column name text")
    require = {"require": {"table": "roads", "columns": ["name"]}}
    checked(require)
    checked(NAMED, {"sql": "own.sql"}, require, folder=tmp_path)
    checked(CELLS, {"require": {"table": "roads", "columns": ["cell_x", "length"]}})


def test_an_output_is_made_by_something() -> None:
    said = mistake({"repair": {"table": "roads"}}, outputs=["roads", "rods"])
    assert said == "dataset roads: outputs: nothing makes rods or out_rods; there are roads, zones"


def test_outputs_may_be_made_under_their_name_or_by_sql(tmp_path: Path) -> None:
    (tmp_path / "own.sql").write_text("create table out_lakes as select 1")
    checked({"sql": "own.sql"}, {"repair": {"table": "roads"}}, folder=tmp_path, outputs=["roads", "lakes"])


YAML = """\
type: terrane_spatial.components.SpatialDataset

attributes:
  dataset: rivers
  description: Rivers.
  inputs: [rivers]
  steps:
    - repair: {table: rivers}
    - select:
        table: rivers
        columns: {label: name}
    - dedupe:
        table: rivers
        by: [name]
  outputs: [lakes]
  row_count: lakes
  freshness: {reason: none}
"""


def test_a_mistake_is_told_with_file_and_line() -> None:
    with create_defs_folder_sandbox() as sandbox:
        file = sandbox.scaffold_component(component_cls=SpatialDataset) / "defs.yaml"
        file.write_text(YAML)
        with pytest.raises(ComponentTreeException) as caught, sandbox.build_all_defs():
            pass
        told = str(innermost(caught.value))
    assert f"{file}:14: step 3 (dedupe), by: there is no column name" in told
    assert f"{file}:15: outputs: nothing makes lakes" in told


def innermost(error: BaseException) -> BaseException:
    return innermost(error.__cause__) if error.__cause__ else error


def test_what_is_right_loads() -> None:
    right = YAML.replace("by: [name]", "by: [label]").replace("lakes", "rivers")
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.scaffold_component(component_cls=SpatialDataset)
        (folder / "defs.yaml").write_text(right)
        with sandbox.load_component_and_build_defs(defs_path=folder) as (_, made):
            assets = [made for made in made.assets or () if isinstance(made, dg.AssetsDefinition)]
    assert dg.AssetKey(["data_lake", "rivers"]) in {key for asset in assets for key in asset.keys}
