"""Rows that come late: entries after their day was taken, and users after their entries."""

from dataclasses import replace
from datetime import UTC, date, datetime

import dagster as dg
import pytest
from faulty_api import rows_of
from sources import ENTRIES, entry, user

pytestmark = pytest.mark.integration

DAYS = [date(2026, 1, day) for day in range(1, 6)]
ROUTES = {"users": "/v1/users", "entries": "/v1/journal-entries"}


@pytest.fixture
def answer(api):
    """Makes the API answer with those users and entries."""

    def rows(users=(), entries=()):
        api.requests.clear()
        api.fault = rows_of({ROUTES["users"]: users, ROUTES["entries"]: entries})

    return rows


def days_asked_for(api):
    return [path.split("from=")[1][:10] for path in api.requests if path.startswith(ROUTES["entries"])]


def take(location, day):
    run = location.run("raw/users", "raw/journal_entries", days=(day, day))
    assert run.success, location.failures(run)
    return run


FIRST = [entry(1, "2026-01-01T10:00:00Z")]
LATE, NEXT = entry(2, "2026-01-01T23:00:00Z"), entry(3, "2026-01-02T10:00:00Z")


def test_an_entry_that_came_late_is_there_with_the_next_day(location, answer, query):
    answer([user(1)], FIRST)
    take(location, "2026-01-01")
    answer([user(1)], [*FIRST, LATE, NEXT])
    run = take(location, "2026-01-02")
    assert query("select id from raw.journal_entries order by id") == [(1,), (2,), (3,)]
    made = [e.materialization for e in run.get_asset_materialization_events()]
    rows = {m.partition: m.metadata["dagster/row_count"].value for m in made if "users" not in m.asset_key.path}
    assert rows == {"2026-01-01": 2, "2026-01-02": 1}


def test_an_entry_that_was_deleted_late_is_gone_with_the_next_day(location, answer, query):
    answer([user(1)], [*FIRST, LATE])
    take(location, "2026-01-01")
    answer([user(1)], [*FIRST, NEXT])
    take(location, "2026-01-02")
    assert query("select id from raw.journal_entries order by id") == [(1,), (3,)]


def test_the_days_before_the_newest_are_read_again_when_they_were_ingested(api, answer, ingest):
    source = replace(ENTRIES, reread_days=2)
    answer()
    ingest(source, DAYS[1:2])
    ingest(source, DAYS[3:4], "run-2")
    assert days_asked_for(api) == ["2026-01-02", "2026-01-02", "2026-01-04"]
    answer()
    assert list(ingest(source, DAYS[3:5], "run-3")) == DAYS[3:5]
    assert days_asked_for(api) == ["2026-01-04", "2026-01-05"]
    answer()
    assert list(ingest(source, DAYS[:1], "run-4")) == DAYS[:1]
    assert days_asked_for(api) == ["2026-01-01"]


def test_a_day_of_the_look_back_that_cannot_be_taken_costs_no_other_and_is_told(location, answer, query):
    answer([user(1)], FIRST)
    take(location, "2026-01-01")
    answer([user(1)], [*FIRST, LATE | {"created_at": "2026-01-01T23:00:00"}, NEXT])
    run = location.run("raw/users", "raw/journal_entries", days=("2026-01-02", "2026-01-02"))
    assert not run.success
    assert "2026-01-01: " in location.failures(run)[-1]
    assert query("select id from raw.journal_entries order by id") == [(1,), (3,)]
    there = location.instance.get_materialized_partitions(dg.AssetKey(["raw", "journal_entries"]))
    assert there == {"2026-01-01", "2026-01-02"}


@pytest.mark.slow
def test_a_user_whom_the_api_shows_as_of_today_alone_is_known(location, answer, places, query):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    answer([user(1, today.isoformat()), user(2)], [*FIRST, entry(2, "2026-01-01T11:00:00Z", by=2)])
    take(location, "2026-01-01")
    assert location.run("raw/game_types", "raw/places").success
    built = location.run(*location.models())
    assert built.success, location.failures(built)
    gold = "select user_id, entries_total from gold.user_journal_features order by user_id"
    assert query(gold) == [(1, 1), (2, 1)]


@pytest.mark.slow
def test_an_entry_by_a_user_whom_nobody_knows_stops_no_other_and_is_told(location, answer, places, query):
    many = [entry(n, f"2026-01-01T10:{n // 60:02}:{n % 60:02}Z") for n in range(1, 200)]
    answer([user(1)], [*many, entry(900, "2026-01-01T23:00:00Z", by=99)])
    run = take(location, "2026-01-01")
    found = {check.check_name: check for check in run.get_asset_check_evaluations()}
    assert found["entries_are_by_known_users"].passed
    assert not found["no_entry_is_left_out"].passed
    assert "1 of 200 entries are by unknown users, such as [99]," in found["no_entry_is_left_out"].description
    assert location.run("raw/game_types", "raw/places").success
    built = location.run(*location.models())
    assert built.success, location.failures(built)
    assert query("select user_id, entries_total from gold.user_journal_features") == [(1, 199)]
    assert query("select sum(entries)::int from gold.journal_activity_daily") == [(199,)]
    (warned,) = [check for check in built.get_asset_check_evaluations() if not check.passed]
    assert (warned.check_name, warned.severity.value) == (
        "relationships_journal_entries_user_id__user_id__ref_users_",
        "WARN",
    )


@pytest.mark.slow
def test_a_game_type_that_came_tonight_is_in_gold_and_is_warned_of(location, answer, places, query):
    answer([user(1)], [*FIRST, entry(2, "2026-01-01T11:00:00Z") | {"game_type": "newest-game"}])
    take(location, "2026-01-01")
    assert location.run("raw/game_types", "raw/places").success
    built = location.run(*location.models())
    assert built.success, location.failures(built)
    assert query("select entries_total from gold.user_journal_features") == [(2,)]
    daily = "select game_type, is_digital is null from gold.journal_activity_daily order by game_type"
    assert query(daily) == [("board", False), ("newest-game", True)]
    warned = [check for check in built.get_asset_check_evaluations() if not check.passed]
    assert {(check.check_name.partition("__")[0], check.severity.value) for check in warned} == {
        ("relationships_journal_entries_game_type", "WARN"),
        ("relationships_user_journal_features_favourite_game_type", "WARN"),
    }


def test_todays_rows_that_cannot_be_read_cost_no_day(location, answer, query):
    today = datetime.now(UTC).date().isoformat()
    answer([user(1), user(2, f"{today}T00:00:00")], FIRST)
    take(location, "2026-01-01")
    assert query("select id from raw.users") == [(1,)]
