"""The location's definitions: what they are, what starts them, and what loading them does not import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from features.definitions import defs

pytestmark = pytest.mark.unit
GOLD = dg.AssetKey(["gold", "user_journal_features"])
REGISTRY = dg.AssetKey(["feast", "registry"])
ONLINE = dg.AssetKey(["online", "user_journal_features"])
# Without boto3: Dagster imports whatever registers components, and dagster-aws, which does, imports it.
HEAVY = "feast dbt dagster_dbt pyarrow pandas kubernetes dagster_k8s redis hiredis mmh3 numpy psycopg uvicorn"
HEAVY += " adbc_driver_manager"
IMPORTS = """
import sys
import features.definitions as definitions

graph = definitions.defs().resolve_asset_graph()
assert len(graph.materializable_asset_keys) >= 2, graph.materializable_asset_keys
print(*sorted(set(sys.argv[1:]) & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    return defs()


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *HEAVY.split()],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k not in {"FEAST_REPO_PATH", "FEATURE_SERVER_URL"}},
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_the_registry_and_the_view_come_from_gold(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    assert graph.materializable_asset_keys >= {REGISTRY, ONLINE}
    assert GOLD in graph.get(REGISTRY).parent_keys
    assert graph.get(ONLINE).parent_keys == {GOLD, REGISTRY}


def test_every_asset_says_whose_it_is_what_it_is_and_how_fresh(loaded: dg.Definitions) -> None:
    for key, group, kinds in ((REGISTRY, "internal", {"feast", "postgres"}), (ONLINE, "serving", {"feast", "redis"})):
        node = loaded.resolve_asset_graph().get(key)
        assert (node.group_name, node.kinds, node.owners) == (group, kinds, ["team:features"])
        assert node.tags["domain"] == "features"
        assert node.description
        assert node.freshness_policy or node.metadata["freshness"]


def test_a_new_gold_starts_the_registry_and_the_view_in_one_go(loaded: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = dg.evaluate_automation_conditions(loaded, instance)
        assert first.total_requested == 0
        # The registry waits for the tables of all views.
        for key in loaded.resolve_asset_graph().get(REGISTRY).parent_keys:
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
        second = dg.evaluate_automation_conditions(loaded, instance, cursor=first.cursor)
        assert [second.get_num_requested(key) for key in (REGISTRY, ONLINE)] == [1, 1]
        # The registry first: what is older than what it is made from is asked for.
        for key in sorted(loaded.resolve_asset_graph().materializable_asset_keys):
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
        third = dg.evaluate_automation_conditions(loaded, instance, cursor=second.cursor)
        assert third.total_requested == 0
        instance.report_runless_asset_event(dg.AssetMaterialization(GOLD))
        fourth = dg.evaluate_automation_conditions(loaded, instance, cursor=third.cursor)
        assert [fourth.get_num_requested(key) for key in (REGISTRY, ONLINE)] == [1, 1]


def test_a_changed_definition_starts_them_too(repository_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEAST_REPO_PATH", str(repository_copy))
    with dg.DagsterInstance.ephemeral() as instance:
        graph = defs().resolve_asset_graph()
        for key in (*graph.get(REGISTRY).parent_keys, *graph.materializable_asset_keys):
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
        before = dg.evaluate_automation_conditions(defs(), instance)
        assert before.total_requested == 0
        entities = repository_copy / "entities.py"
        entities.write_text(entities.read_text().replace("A user of", "Somebody with"))
        after = dg.evaluate_automation_conditions(defs(), instance, cursor=before.cursor)
        assert after.get_num_requested(REGISTRY) == 1
        assert after.get_num_requested(ONLINE) == 1


def test_a_service_is_downstream_of_its_views_and_nothing_runs_for_it(loaded: dg.Definitions) -> None:
    service = loaded.resolve_asset_graph().get(dg.AssetKey(["feature_services", "analyzer"]))
    assert (service.parent_keys, service.is_materializable) == ({ONLINE}, False)
    assert (service.group_name, service.owners, service.kinds) == ("serving", ["team:features"], {"feast"})
    assert service.description == "What the Analyzer service asks for.\n\nAsked for as `feature_service: analyzer`."


def test_the_scheduled_job_materialises_both_and_is_off(loaded: dg.Definitions) -> None:
    job = loaded.resolve_job_def("materialize_user_journal_features")
    assert job.asset_layer.executable_asset_keys == {REGISTRY, ONLINE}
    schedule = loaded.resolve_schedule_def("materialize_user_journal_features_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def test_steps_run_in_the_process_of_their_run(loaded: dg.Definitions) -> None:
    assert loaded.resolve_job_def("materialize_user_journal_features").executor_def is dg.in_process_executor


def test_a_view_that_is_added_to_the_repository_is_an_asset(
    repository_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (repository_copy / "user_journal.py").read_text()
    (repository_copy / "second.py").write_text(
        text.replace("user_journal", "second").replace("analyzer", "second_service")
    )
    monkeypatch.setenv("FEAST_REPO_PATH", str(repository_copy))
    graph = defs().resolve_asset_graph()
    added = dg.AssetKey(["online", "second_features"])
    assert graph.get(added).parent_keys == {dg.AssetKey(["gold", "second_features"]), REGISTRY}
