"""Every check of a view's asset, made to fail for real: by the warehouse, by Redis, and by the feature server."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from serving import running, until

from terrane_features.checks.results import (
    COLUMNS,
    COUNT,
    DISTRIBUTIONS,
    FRESH,
    KEYS,
    LIMIT_TAG,
    NULLS,
    SERVER,
    STORE,
    UNIQUE,
)
from terrane_features.online_store.format import field_name
from terrane_features.online_store.inspect import key_of
from terrane_features.server.app import App
from terrane_features.server.registry.watch import RegistryWatcher
from terrane_features.server.settings import read_settings

pytestmark = pytest.mark.integration
VIEW = dg.AssetKey(["online", "user_journal_features"])
REGISTRY = dg.AssetKey(["feast", "registry"])
TABLE = "gold.user_journal_features"


def evaluations(result: dg.ExecuteInProcessResult, key: dg.AssetKey = VIEW) -> dict[str, Any]:
    return {e.check_name: e for e in result.get_asset_check_evaluations() if e.asset_key == key}


def failed(result: dg.ExecuteInProcessResult, key: dg.AssetKey = VIEW) -> set[str]:
    return {name for name, e in evaluations(result, key).items() if not e.passed}


def tells(evaluation: Any, entry: str) -> str:
    return str(evaluation.metadata[entry].value)


def dropped_uniqueness(stores) -> None:
    stores.sql(f"alter table {TABLE} drop constraint user_journal_features_user_id_key")
    stores.sql(f"alter table {TABLE} alter column user_id drop not null")


@pytest.fixture
def recent(stores):
    """Gold with one event, an hour ago, for everybody: fresh, and the same whenever it is asked for."""
    stores.sql(f"update {TABLE} set event_timestamp = date_trunc('hour', now()) - interval '1 hour'")
    return stores


@pytest.fixture
def server(stores):
    with running(
        App(read_settings(stores.feast.folder), RegistryWatcher(read_settings(stores.feast.folder), 0.2))
    ) as client:
        until(lambda: client.get("/ready").status_code == 200)
        yield client


def address(server) -> str:
    return str(server.base_url).rstrip("/")


def test_a_run_over_good_rows_passes_every_check_through_a_real_feature_server(recent, server) -> None:
    result = recent.run(url=address(server))
    assert failed(result) == failed(result, REGISTRY) == set()
    assert len(evaluations(result)) == 9
    asked = evaluations(result)[SERVER].metadata
    assert (asked["asked"].value, asked["entities"].value) == (address(server), 5)


def test_a_column_of_another_type_stops_the_registry_and_is_listed(stores) -> None:
    stores.run()
    stores.sql(f"alter table {TABLE} alter column avg_mood type text")
    result = stores.run(raise_on_error=False)
    assert not result.success
    assert failed(result, REGISTRY) == {COLUMNS}
    assert "needs the column avg_mood" in tells(evaluations(result, REGISTRY)[COLUMNS], "problems")
    assert evaluations(result) == {}


def test_a_column_that_goes_stops_a_view_that_is_run_alone_before_anything_is_written(stores) -> None:
    stores.run()
    before = stores.online(7)
    stores.sql(f"alter table {TABLE} drop column avg_mood")
    stores.sql(f"update {TABLE} set entries_total = 999")
    result = stores.run(raise_on_error=False, only_views=True)
    assert (result.success, failed(result)) == (False, {COLUMNS})
    assert "names the column avg_mood" in tells(evaluations(result)[COLUMNS], "problems")
    assert stores.online(7)["entries_total"] == before["entries_total"]
    assert result.asset_materializations_for_node("online__user_journal_features") == []


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        (
            "update {} set user_id = null where user_id = 3",
            KEYS,
            "1 rows of gold.user_journal_features have no user_id",
        ),
        ("insert into {} select * from {} where user_id in (4, 5)", UNIQUE, "2 entities of gold.user_journal_features"),
    ],
)
def test_rows_that_nothing_certain_can_be_served_from_stop_the_write(
    stores, fault: str, check: str, words: str
) -> None:
    stores.run()
    before = stores.online(7)
    dropped_uniqueness(stores)
    stores.sql(fault.replace("{}", TABLE))
    stores.sql(f"update {TABLE} set entries_total = 999")
    result = stores.run(raise_on_error=False)
    assert (result.success, failed(result)) == (False, {check})
    (failure,) = [e for e in result.get_step_failure_events() if e.step_key == "online__user_journal_features"]
    message = str(failure.step_failure_data.user_failure_data.description)
    assert message.startswith("Nothing was written of user_journal_features: ")
    assert words in message
    assert stores.online(7) == before


def test_an_event_without_a_time_stops_the_write_too(stores) -> None:
    stores.sql(f"alter table {TABLE} alter column event_timestamp drop not null")
    stores.sql(f"update {TABLE} set event_timestamp = null where user_id = 3")
    result = stores.run(raise_on_error=False)
    assert failed(result) == {KEYS}
    assert evaluations(result)[KEYS].metadata["rows_without"].value == {"event_timestamp": 1}


def test_a_history_is_served_by_its_newest_rows_and_passes(recent, server) -> None:
    dropped_uniqueness(recent)
    recent.sql(
        f"insert into {TABLE} select user_id, event_timestamp - interval '1 day', created_timestamp, 0 from {TABLE}"
    )
    result = recent.run(url=address(server))
    assert failed(result) == set()
    assert recent.online(7)["entries_total"] == [21]


def meddle(monkeypatch: pytest.MonkeyPatch, where: str, what: Callable[[], None]) -> None:
    """Lets something happen to Redis right before a step of the run."""
    module, name = where.rsplit(".", 1)
    original = getattr(importlib.import_module(module), name)

    def first(*arguments: Any, **options: Any) -> Any:
        what()
        return original(*arguments, **options)

    monkeypatch.setattr(where, first)


def test_keys_that_are_evicted_while_the_run_writes_fail_the_coverage(stores, monkeypatch: pytest.MonkeyPatch) -> None:
    def evict() -> None:
        with stores.feast.online_store().client() as client:
            client.delete(*[key_of("terrane", stores.view, user) for user in (5, 6)])

    meddle(monkeypatch, "terrane_features.online_store.rows.count_present", evict)
    result = stores.run(raise_on_error=False)
    assert not result.success
    assert COUNT in failed(result)
    told = evaluations(result)[COUNT].metadata
    assert (told["rows_sent"].value, told["rows_whose_key_is_there"].value) == (stores.users, stores.users - 2)


def test_values_that_are_not_golds_fail_both_canaries_by_name(recent, server, monkeypatch: pytest.MonkeyPatch) -> None:
    def corrupt() -> None:
        field = field_name("user_journal_features", "entries_last_7d")
        with recent.feast.online_store().client() as client:
            for user in range(1, recent.users + 1):
                client.hset(key_of("terrane", recent.view, user), field, b"\x20\xe8\x07")

    meddle(monkeypatch, "terrane_features.materialize.verify.read_store", corrupt)
    result = recent.run(url=address(server), raise_on_error=False)
    assert (result.success, failed(result)) == (False, {STORE, SERVER})
    for name in (STORE, SERVER):
        assert "entries_last_7d of " in tells(evaluations(result)[name], "differences")
        assert "online is 1000" in tells(evaluations(result)[name], "differences")


def test_a_feature_server_that_does_not_answer_is_a_warning_and_stops_nothing(recent) -> None:
    result = recent.run(url="http://127.0.0.1:1")
    assert (result.success, failed(result)) == (True, {SERVER})
    evaluation = evaluations(result)[SERVER]
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert tells(evaluation, "asked").startswith("http://127.0.0.1:1, which does not answer")


def test_an_old_newest_event_is_told_against_the_locations_limit(recent) -> None:
    recent.sql(f"update {TABLE} set event_timestamp = now() - interval '27 hours'")
    result = recent.run()
    assert (result.success, failed(result)) == (True, {FRESH})
    told = evaluations(result)[FRESH].metadata
    assert (round(told["age_hours"].value, 1), told["limit_hours"].value) == (27.0, 26.0)


def test_a_views_own_limit_counts_and_its_ttl_is_the_most(recent) -> None:
    recent.sql(f"update {TABLE} set event_timestamp = now() - interval '27 hours'")
    recent.edit("user_journal.py", 'tags={"domain": "features"}', f'tags={{"{LIMIT_TAG}": "48"}}')
    assert failed(recent.run()) == set()
    recent.edit("user_journal.py", "timedelta(days=3650)", "timedelta(hours=3)")
    result = recent.run()
    assert failed(result) == {FRESH}
    assert evaluations(result)[FRESH].metadata["limit_hours"].value == 3.0


def test_nulls_and_distributions_are_compared_with_the_last_run_and_warn(recent) -> None:
    first = recent.run()
    assert failed(first) == set()
    assert "first run" in tells(evaluations(first)[DISTRIBUTIONS], "compared")
    assert failed(recent.run()) == set()
    recent.sql(f"update {TABLE} set minutes_total = null, entries_total = 4, last_place = 'one place'")
    result = recent.run()
    assert (result.success, failed(result)) == (True, {NULLS, DISTRIBUTIONS})
    assert "minutes_total: 0.0% before, 100.0% now" in tells(evaluations(result)[NULLS], "changed")
    changed = tells(evaluations(result)[DISTRIBUTIONS], "changed")
    assert "entries_total: " in changed
    assert "is_active" not in changed
    assert {evaluations(result)[n].severity for n in (NULLS, DISTRIBUTIONS)} == {dg.AssetCheckSeverity.WARN}
    assert failed(recent.run()) == set()


def test_features_that_took_too_long_to_count_are_told_and_the_last_runs_are_kept(
    recent, monkeypatch: pytest.MonkeyPatch
) -> None:
    recent.run()
    kept = recent.sql("select run_id from feast.feature_statistics")
    recent.sql(f"alter table {TABLE} rename to slow")
    recent.sql(f"create view {TABLE} as select * from gold.slow where pg_sleep(0.005) is not null")
    monkeypatch.setattr("terrane_features.checks.statistics.LONGEST_S", 0.1)
    result = recent.run()
    assert (result.success, failed(result)) == (True, {NULLS, DISTRIBUTIONS})
    assert "were not counted: canceling statement due to" in tells(evaluations(result)[NULLS], "not_measured")
    assert recent.sql("select run_id from feast.feature_statistics") == kept
    assert recent.online(7)["entries_total"] == [21]


def test_a_run_shows_each_features_distribution(recent) -> None:
    (event,) = recent.run().asset_materializations_for_node("online__user_journal_features")
    page = str(event.metadata["distributions"].value)
    assert page.count("data:image/png;base64,") == len(recent.view.features) - 1
    assert "| avg\\_mood | 100.0% | none |  |" in page
    assert len(page) < 10_000
    assert event.metadata["bytes_sent"].value > 5000
    assert event.metadata["rows_skipped"].value == 0
