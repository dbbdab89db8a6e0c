"""A training set as YAML: an asset that nobody starts but a person, and a published batch in the lake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox
from histories import generate, put

from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.publishing import download, list_commits
from terrane_features.components.training_set import FILE

pytestmark = pytest.mark.integration
LABELS = "select player_id, place_id, event_timestamp, label from gold.labels"
KEY = dg.AssetKey(["training_sets", "who_wins"])


def attributes(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "who_wins",
        "feature_service": "both",
        "entities": LABELS,
        "repository": str(folder),
        "description": "Who wins.",
        "deps": ["gold/labels"],
        **changes,
    }


@pytest.fixture
def build(players, folder_store: ObjectStoreResource) -> Callable[..., dg.Definitions]:
    """Makes what Dagster makes of a folder with a defs.yaml, over real stores."""

    def definitions(**changes: Any) -> dg.Definitions:
        content = {
            "type": "terrane_features.components.TrainingSet",
            "attributes": attributes(players.feast.folder, **changes),
        }
        with create_defs_folder_sandbox() as sandbox:
            (sandbox.project_root / "location.yaml").write_text("owner: team:lessons\n")
            path = sandbox.defs_folder_path / "lessons"
            path.mkdir()
            (path / "defs.yaml").write_text(yaml.safe_dump(content))
            with sandbox.load_component_and_build_defs(defs_path=path) as (_, made):
                stores = {"feast": players.feast, "warehouse": players.warehouse, "object_store": folder_store}
                return dg.Definitions.merge(made, dg.Definitions(resources=stores))

    return definitions


def run(definitions: dg.Definitions) -> dg.ExecuteInProcessResult:
    return definitions.resolve_implicit_global_asset_job_def().execute_in_process(raise_on_error=False)


def test_it_is_an_asset_downstream_of_the_tables_it_reads_and_nothing_starts_it(build) -> None:
    node = build().resolve_asset_graph().get(KEY)
    tables = {dg.AssetKey(["gold", table]) for table in ("scores", "stays", "labels")}
    assert node.parent_keys == {dg.AssetKey(["feast", "registry"]), *tables}
    assert node.automation_condition is None
    assert (node.group_name, node.owners, node.kinds) == ("exports", ["team:lessons"], {"feast", "parquet"})
    assert node.metadata["freshness"]


def test_a_run_publishes_the_rows_and_what_they_were_made_with(
    players, build, tmp_path: Path, folder_store: ObjectStoreResource
) -> None:
    put(players, generate(5, players=5, events=10, labels=120))
    result = run(build())
    assert result.success
    lake = folder_store.bucket(DATA_LAKE)
    (commit,) = list_commits(lake, "training_sets/who_wins")
    assert (commit.batch_id, commit.summary["rows"]) == (result.run_id, 120)
    assert commit.summary["definitions"] == players.feast.repository().digest
    assert commit.summary["entities"].strip() == LABELS
    table = pq.read_table(download(lake, commit.object(FILE), tmp_path / "copy"))
    assert table.num_rows == 120
    (event,) = result.asset_materializations_for_node("training_sets__who_wins")
    assert event.metadata["dagster/row_count"].value == 120
    assert event.metadata["bytes"].value == (tmp_path / "copy").stat().st_size


def test_a_refused_query_publishes_nothing_and_says_so(build, folder_store: ObjectStoreResource) -> None:
    (failure,) = run(build(entities=f"{LABELS} where false")).get_step_failure_events()
    told = str(failure.step_failure_data.user_failure_data)
    assert "has no rows" in told
    assert "Nothing was published of training_sets/who_wins." in told
    assert list_commits(folder_store.bucket(DATA_LAKE), "training_sets/who_wins") == []


def test_a_query_that_postgres_cannot_read_is_told_with_postgres_words(build) -> None:
    (failure,) = run(build(entities="select player_id form gold.labels")).get_step_failure_events()
    told = str(failure.step_failure_data.user_failure_data)
    assert "failed while training_sets/who_wins was joined: syntax error at or near" in told
    assert "Correct the `entities` of its defs.yaml" in told


def test_a_service_that_nobody_declares_is_refused_when_the_location_loads(build) -> None:
    with pytest.raises(Exception, match=r"defs\.yaml \(TrainingSet\) \(error\)") as raised:
        build(feature_service="nobody")
    assert "no feature service 'nobody'; there are alone, both" in str(raised.value.__cause__)
