"""A dataset is declared in YAML and SQL: what a person can add without Python, and what faulty SQL gets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox
from spatial_batches import collection, point
from spatial_platform import Platform, failure_of

from terrane.publishing import read_commit
from terrane_spatial.components import SpatialDataset
from terrane_spatial.runs.ops import CHECK

pytestmark = pytest.mark.integration

COPY_ALL = "create unlogged table out_wells as select name, geometry from wells;"
Load = Callable[..., dg.Definitions]


@pytest.fixture
def declare() -> Iterator[Load]:
    """Declares the dataset `wells` in a folder of its own: YAML with changes, and its SQL."""
    with create_defs_folder_sandbox() as sandbox:

        def load(script: str, /, **changes: Any) -> dg.Definitions:
            attributes = {
                "dataset": "wells",
                "description": "Wells.",
                "inputs": ["wells"],
                "sql": ["wells.sql"],
                "outputs": ["wells"],
                "row_count": "wells",
                "preview": {"points": "out_wells"},
                "freshness": {"fail_hours": 48, "warn_hours": 24},
                **changes,
            }
            yaml = {"type": "terrane_spatial.components.SpatialDataset", "attributes": attributes}
            path = sandbox.scaffold_component(component_cls=SpatialDataset, defs_yaml_contents=yaml)
            (path / "wells.sql").write_text(script)
            with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
                return definitions

        yield load


def run(platform: Platform, definitions: dg.Definitions, batch_id: str = "w-1") -> dg.ExecuteInProcessResult:
    """Puts a batch of three wells, accepts it, and runs the dataset on it."""
    content = collection(point(i, i, name=f"w{i}") for i in range(3))
    return platform.run_batch(definitions, "wells", batch_id, {"wells.geojson": content})


def test_yaml_and_sql_are_all_a_dataset_needs(platform: Platform, declare: Load) -> None:
    definitions = declare(COPY_ALL)
    assert run(platform, definitions).success
    commit = read_commit(platform.lake, "wells", "w-1")
    assert commit.summary["rows"] == {"wells": 3}
    assert sorted(o.name for o in commit.objects) == ["item.json", "preview.png", "wells.parquet"]
    made = [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition | dg.AssetSpec)]
    specs = [spec for a in made for spec in (a.specs if isinstance(a, dg.AssetsDefinition) else [a])]
    specs = {spec.key.to_user_string(): spec for spec in specs}
    assert sorted(specs) == ["data_lake/wells", "landing_zone/wells", "stac/wells"]
    spec = specs["data_lake/wells"]
    assert spec.freshness_policy
    assert [d.asset_key.path for d in spec.deps] == [["landing_zone", "wells"]]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        pytest.param(COPY_ALL.replace(";", " limit 2;"), "3 rows in, 2 out, 0 dropped, 0 duplicates", id="lost"),
        pytest.param(COPY_ALL.replace(";", ", generate_series(1, 2);"), "3 rows in, 6 out", id="multiplied"),
        pytest.param(
            COPY_ALL + " insert into _tally values ('wells', 'dropped', 'x', 1);",
            "3 out, 1 dropped",
            id="counted twice",
        ),
    ],
)
def test_sql_that_does_not_conserve_rows_fails_before_anything_is_published(
    platform: Platform, declare: Load, sql: str, said: str
) -> None:
    definitions = declare(sql)
    result = run(platform, definitions)
    assert not result.success
    assert "Rows are not conserved, so nothing is published" in failure_of(result)
    assert said in failure_of(result)
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (CHECK, False)
    assert platform.published() == []
    assert platform.schemas() == []
    batch = platform.batch("w-1")
    assert batch
    assert batch.state == "failed"
    assert platform.marker("w-1") is None


def test_sql_that_fails_is_named_with_what_postgres_says(platform: Platform, declare: Load) -> None:
    result = run(platform, declare("select 1;\nselect nothing from nowhere;"))
    assert 'wells.sql failed at character 31: relation "nowhere" does not exist' in failure_of(result)
    assert platform.schemas() == []


def test_a_failed_run_is_mended_by_running_the_batch_again(platform: Platform, declare: Load) -> None:
    assert not run(platform, declare("select broken;")).success
    assert run(platform, declare(COPY_ALL)).success
    batch = platform.batch("w-1")
    assert batch
    assert (batch.state, batch.reasons) == ("published", [])


def test_a_batch_of_which_no_row_is_left_is_not_published(platform: Platform, declare: Load) -> None:
    sql = COPY_ALL.replace(";", " where false;") + "insert into _tally values ('wells', 'dropped', 'dry', 3);"
    result = run(platform, declare(sql, preview={}))
    assert not result.success
    assert "No row with a geometry is left to publish" in failure_of(result)
    assert platform.published() == []


def test_sql_files_that_are_not_there_are_named_when_definitions_load(declare: Load) -> None:
    with pytest.raises(Exception, match="Error while building definitions") as caught:
        declare(COPY_ALL, sql=["wells.sql", "other.sql"])
    assert "dataset wells names SQL files that are not in" in str(caught.value.__cause__)
    assert str(caught.value.__cause__).endswith(": other.sql")


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"row_count": "welsl"}, "row_count", "'welsl' is none of the outputs wells"),
        ({"preview": {"points": "out_welsl"}}, "preview", "there is no table out_welsl"),
        ({"inputs": ["Wells"]}, "inputs", "'Wells': a table's name is small letters"),
        ({"inputs": []}, "inputs", "a dataset needs at least one"),
        ({"outputs": ["../up"], "row_count": "../up"}, "outputs", "'../up': a table's name is small letters"),
        ({"outputs": ["wells", "wells"]}, "outputs", "wells more than once"),
        ({"outputs": [], "row_count": "x"}, "outputs", "a dataset needs at least one"),
        ({"dataset": "My-Wells"}, "dataset", "'My-Wells' is no name of a dataset"),
        ({"freshness": {}}, "freshness", "say after how many hours it fails"),
        ({"freshness": {"fail_hours": 1, "warn_hours": 2}}, "freshness", "warn_hours between 0 and it"),
        ({"retention": {"batches": 0}}, "retention", "a retention keeps at least one batch"),
        ({"retention": {"days": -1}}, "retention", "has to be above 0"),
        ({"limits": {"retires": 1}}, "limits", "there is no limit retires; there are "),
        ({"limits": {"retries": -1}}, "limits", "retries is -1"),
        ({"require": {"well": {}}}, "require", "there is no table well; there are wells"),
        ({"require": {"wells": {"rows": {"most": 3}}}}, "require", "wells.rows.most: Extra inputs are not permitted"),
    ],
    ids=str,
)
def test_a_mistake_in_the_yaml_is_found_when_definitions_load_with_file_line_and_reason(
    declare: Load, changes: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(Exception, match="Error while building definitions") as caught:
        declare(COPY_ALL, **changes)
    cause = str(caught.value.__cause__)
    assert f"{field}: " in cause
    assert said in cause
    place = re.match(r"(\S+defs\.yaml):(\d+): dataset ", cause)
    assert place
    assert Path(place[1]).read_text().splitlines()[int(place[2]) - 1].strip().startswith(f"{field}:")


def test_a_preview_may_show_what_own_sql_makes(declare: Load) -> None:
    declare(COPY_ALL, preview={"points": "somewhere"})


def test_what_a_dataset_requires_blocks_publishing_and_rejects_the_batch(platform: Platform, declare: Load) -> None:
    result = run(platform, declare(COPY_ALL, require={"wells": {"unique": [["name"]], "rows": {"max": 2}}}))
    assert not result.success
    assert "wells has 3 rows, and 1 to 2 are required" in failure_of(result)
    assert platform.published() == []
    marker = platform.marker("w-1")
    assert marker
    assert "1 to 2 are required" in str(marker)
    assert checks(result) == {"requirements": False}


def test_what_a_dataset_requires_is_a_check_of_its_asset(platform: Platform, declare: Load) -> None:
    definitions = declare(COPY_ALL, require={"wells": {"columns": {"name": "text"}, "rows": {"max": 3}}})
    result = run(platform, definitions)
    assert result.success
    assert checks(result) == {"requirements": True, CHECK: True}
    (required,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "requirements"]
    assert required.metadata["wells"].value == {"columns": {"name": "text"}, "rows": {"max": 3}}


def test_an_output_that_is_not_as_required_fails_the_check_and_not_the_batch(platform: Platform, declare: Load) -> None:
    steps = [{"select": {"table": "wells", "columns": {"name": "name"}, "into": "named"}}]
    definitions = declare(
        COPY_ALL,
        sql=[],
        steps=steps,
        outputs=["named"],
        row_count="named",
        preview={},
        require={"named": {"rows": {"max": 2}}},
    )
    result = run(platform, definitions)
    assert not result.success
    assert checks(result) == {"requirements": False}
    assert platform.marker("w-1") is None


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
