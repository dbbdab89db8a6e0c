"""Runs of the raw assets: what the event log says of them, and how they end when something is wrong."""

from pathlib import Path

import dagster as dg
import pytest
import yaml
from faulty_api import status

import analytics
from analytics.components import DailySourceTable
from source_api import generator

pytestmark = pytest.mark.integration

DAYS = ("2026-01-01", "2026-01-04")
ENTRIES = dg.AssetKey(["raw", "journal_entries"])


@pytest.fixture
def entries_without_patience(location):
    """raw/journal_entries as declared, but tried again at once."""
    file = Path(analytics.__file__).parent / "defs/raw/journal_entries/defs.yaml"
    attributes = yaml.safe_load(file.read_text())["attributes"] | {"retry_delay_s": 0}
    table = DailySourceTable.resolve_from_dict(attributes)
    made = table.build_defs(None)  # pyright: ignore[reportArgumentType] - it has no use for its place in defs/
    location.definitions = dg.Definitions.merge(made, dg.Definitions(resources=location.resources))
    return location


def rows_by_day(instance):
    records = instance.fetch_materializations(ENTRIES, limit=100).records
    return {r.partition_key: r.asset_materialization.metadata["dagster/row_count"].value for r in records}


def test_a_range_of_days_is_one_run_with_an_event_and_a_count_a_day(location):
    assert location.run("raw/users", "raw/journal_entries", days=DAYS).success
    assert rows_by_day(location.instance) == {f"2026-01-0{n + 1}": generator.entries_of(n) for n in range(4)}


def test_days_before_a_failure_are_materialised_and_the_others_are_not(entries_without_patience, api):
    api.faults = [None] * 2
    api.fault = status(503)
    result = entries_without_patience.run("raw/journal_entries", days=DAYS)
    assert not result.success
    assert rows_by_day(entries_without_patience.instance) == {"2026-01-01": 3800, "2026-01-02": 3850}

    api.heal()
    assert entries_without_patience.run("raw/journal_entries", days=("2026-01-03", "2026-01-04")).success
    assert len(rows_by_day(entries_without_patience.instance)) == 4


def test_what_may_pass_is_tried_again_within_the_run(entries_without_patience, api):
    api.faults = [None] * 2 + [status(503)] * 3
    result = entries_without_patience.run("raw/journal_entries", days=DAYS)
    assert result.success
    assert [e.event_type_value for e in result.all_events].count("STEP_UP_FOR_RETRY") == 1
    assert rows_by_day(entries_without_patience.instance) == {
        f"2026-01-0{n + 1}": generator.entries_of(n) for n in range(4)
    }


def test_what_will_not_pass_fails_at_once(entries_without_patience, api):
    api.fault = status(401)
    result = entries_without_patience.run("raw/journal_entries", days=DAYS)
    assert not result.success
    (failure,) = entries_without_patience.failures(result)
    assert "refused GET /v1/journal-entries with 401" in failure
    assert "Set API_KEY to a key this API knows" in failure
    assert len(api.requests) == 1


def test_entries_by_unknown_users_fail_the_blocking_check(location):
    assert location.run("raw/users", days=("2026-01-01", "2026-01-01")).success
    result = location.run("raw/journal_entries", days=("2026-01-02", "2026-01-02"))
    (evaluation,) = known_users(result)
    assert (evaluation.passed, evaluation.blocking) == (False, True)
    assert "are by unknown users" in (evaluation.description or "")

    result = location.run("raw/users", "raw/journal_entries", days=("2026-01-01", "2026-01-02"))
    assert [e.passed for e in known_users(result)] == [True]


def known_users(result):
    return [e for e in result.get_asset_check_evaluations() if e.check_name == "entries_are_by_known_users"]


def test_refused_rows_are_a_warning_with_their_day_and_go_when_the_day_is_taken_again(location, api):
    def refused(result):
        (found,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "no_rows_are_refused"]
        return found

    day = ("2026-01-01", "2026-01-01")
    api.rewrite = lambda request, answer: (
        answer | {"items": [{**row, "plan": 5} if row["id"] in (1, 2) else row for row in answer["items"]]}
    )
    result = location.run("raw/users", days=day)
    assert result.success
    found = refused(result)
    assert (found.passed, found.severity, found.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    assert "2 rows of 1 days" in (found.description or "")
    assert "| 2026-01-01 | 2 | plan is a number, not a text |" in str(found.metadata["days"].value)
    api.heal()
    assert refused(location.run("raw/users", days=day)).passed


def test_the_scheduled_job_takes_the_game_types(location):
    result = location.run(job="get_game_types_job")
    assert result.success
    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(["raw", "game_types"])
    with location.resources["warehouse"].connect() as connection:
        slugs = connection.execute("select array_agg(slug order by id) from raw.game_types").fetchone()
    assert slugs == ([*generator.SLUGS],)


def game_types(location):
    with location.resources["warehouse"].connect() as connection:
        return connection.execute(
            "select count(*), count(*) filter (where name = 'renamed') from raw.game_types"
        ).fetchone()


def test_game_types_that_are_gone_from_the_api_stay_since_history_refers_to_them_and_are_told(location, api):
    assert location.run("raw/game_types").success
    api.rewrite = lambda request, answer: (
        answer | {"items": [{**item, "name": "renamed"} for item in answer["items"][:5]]}
    )
    result = location.run("raw/game_types")
    assert result.success
    assert game_types(location) == (8, 5)
    (event,) = result.get_asset_materialization_events()
    told = event.materialization.metadata
    assert (told["dagster/row_count"].value, told["kept_though_gone"].value) == (8, 3)


@pytest.mark.parametrize("left", [0, 3])
def test_an_answer_that_lost_most_of_its_rows_changes_nothing_unless_it_is_allowed(location, api, left):
    assert location.run("raw/game_types").success
    api.rewrite = lambda request, answer: (
        answer | {"items": [{**item, "name": "renamed"} for item in answer["items"][:left]]}
    )
    failed = location.run("raw/game_types")
    (message,) = location.failures(failed)
    assert f"{left} rows came in for raw.game_types, which has 8: fewer than 50% of them, or none" in message
    assert "run raw/game_types with the config allow_fewer_rows: true" in message
    assert game_types(location) == (8, 0)
    assert location.run("raw/game_types", config={"raw__game_types": {"allow_fewer_rows": True}}).success
    assert game_types(location) == (8, left)


def test_an_answer_without_game_types_fails_at_once_and_changes_nothing(location, api):
    assert location.run("raw/game_types").success
    api.rewrite = lambda request, answer: {"data": answer["items"]}
    failed = location.run("raw/game_types")
    (message,) = location.failures(failed)
    assert "/v1/game-types: the answer has no list of items; the table is as it was" in message
    with location.resources["warehouse"].connect() as connection:
        assert connection.execute("select count(*) from raw.game_types").fetchone() == (8,)


def test_a_source_that_says_when_to_come_back_is_not_asked_before_by_any_asset(location, api):
    api.fault = status(429, Retry_After="3600")
    failed = location.run("raw/users", days=("2026-01-01", "2026-01-01"))
    # A run does not stay for it: neither is it tried again within.
    (told,) = location.failures(failed)
    assert "answered GET /v1/users with 429 and asks to come back at 2" in told
    assert len(api.requests) == 1
    api.heal()
    for assets, days in ((["raw/game_types"], None), (["raw/users"], ("2026-01-01", "2026-01-01"))):
        (told,) = location.failures(location.run(*assets, days=days))
        assert "was not asked" in told
    assert api.requests == []
    with location.resources["warehouse"].connect() as connection:
        connection.execute("update raw.sources_not_before set until = now()")
    assert location.run("raw/game_types").success
