"""A dataset is declared in YAML and SQL: what a person can add without Python, and what faulty SQL gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox
from spatial_batches import collection, point
from spatial_platform import Platform, failure_of

from terrane.publishing import read_commit
from terrane_spatial.components import SpatialDataset
from terrane_spatial.runs.names import run_config
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
    from terrane_spatial.intake.accept import Desk, take_in

    content = collection(point(i, i, name=f"w{i}") for i in range(3))
    platform.put(batch_id, {"wells.geojson": content}, dataset="wells")
    with platform.ledger.open() as ledger:
        take_in(Desk(platform.landing, ledger, {"wells"}))
    resources = {"store": platform.store, "compute": platform.compute, "ledger": platform.ledger}
    whole = dg.Definitions.merge(definitions, dg.Definitions(resources=resources))
    job = whole.get_implicit_global_asset_job_def()
    config = run_config("wells", batch_id)
    return job.execute_in_process(instance=platform.instance, run_config=config, raise_on_error=False)


def test_yaml_and_sql_are_all_a_dataset_needs(platform: Platform, declare: Load) -> None:
    definitions = declare(COPY_ALL)
    assert run(platform, definitions).success
    commit = read_commit(platform.lake, "wells", "w-1")
    assert commit.summary["rows"] == {"wells": 3}
    assert sorted(o.name for o in commit.objects) == ["item.json", "preview.png", "wells.parquet"]
    (asset,) = [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition)]
    (spec,) = asset.specs
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
