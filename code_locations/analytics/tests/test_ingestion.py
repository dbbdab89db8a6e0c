"""Days of the API in the warehouse: exact, repeatable, and none lost when another fails."""

import threading
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from faulty_api import status
from sources import ENTRIES, USERS

from analytics.ingestion import DailySource
from analytics.warehouse import locks, tables
from analytics.warehouse.tables import Column, Table
from source_api import generator
from terrane.errors import Permanent, Temporary

pytestmark = pytest.mark.integration

DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(4)]


def content(query, table):
    return query(f"select count(*), md5(string_agg(t::text, '|' order by id)) from raw.{table} t")[0]


def expected_users(days):
    """Of each user the newest version of those days."""
    newest = {}
    for day in days:
        for version in generator.user_versions(day):
            newest[version.id] = (
                version.plan,
                datetime(2026, 1, 1 + day, tzinfo=UTC) + timedelta(milliseconds=version.at_ms),
            )
    return sorted((user, plan, at) for user, (plan, at) in newest.items())


def test_days_are_in_the_warehouse_exactly(ingest, query):
    assert ingest(ENTRIES, DAYS) == {day: generator.entries_of(n) for n, day in enumerate(DAYS)}
    by_day = "select (created_at at time zone 'UTC')::date, count(*) from raw.journal_entries group by 1 order by 1"
    assert query(by_day) == [(day, generator.entries_of(n)) for n, day in enumerate(DAYS)]
    assert query("select min(id), max(id), count(distinct id) from raw.journal_entries") == [(1, 15_550, 15_550)]


def test_of_each_user_the_newest_version_is_kept(ingest, query):
    rows = ingest(USERS, DAYS)
    assert query("select id, plan, updated_at from raw.users order by id") == expected_users(range(4))
    assert rows == {day: len({v.id for v in generator.user_versions(n)}) for n, day in enumerate(DAYS)}


def test_an_older_day_ingested_later_takes_nothing_back(ingest, query):
    ingest(USERS, [DAYS[3], DAYS[1]])
    ingest(USERS, [DAYS[2], DAYS[0]], "run-2")
    assert query("select id, plan, updated_at from raw.users order by id") == expected_users(range(4))


@pytest.mark.parametrize("source", [USERS, ENTRIES], ids=["users", "journal_entries"])
def test_ingesting_a_day_again_changes_nothing(ingest, query, source):
    ingest(source, DAYS)
    before = content(query, source.table.name)
    ingest(source, DAYS[1:3], "run-2")
    assert content(query, source.table.name) == before


def test_a_day_that_is_ingested_again_is_exactly_what_came_in(ingest, query):
    ingest(ENTRIES, DAYS)
    before = content(query, "journal_entries")
    with_strangers = (
        "insert into raw.journal_entries select id + 1000000, user_id, created_at, place, mood from raw.journal_entries"
    )
    query(f"{with_strangers} where id between 4000 and 4100 returning 1")
    query("delete from raw.journal_entries where id between 5000 and 5100 returning 1")
    ingest(ENTRIES, DAYS[1:2], "run-2")
    assert content(query, "journal_entries") == before


def test_a_day_that_fails_leaves_the_days_before_it_and_the_next_run_completes(ingest, query, api):
    done = {}
    api.faults = [None] * 6 + [status(500)] * 3
    with pytest.raises(Temporary, match="500 sorry"):
        ingest(ENTRIES, DAYS, done=done)
    assert list(done) == DAYS[:2]
    assert query("select count(*) from raw.journal_entries") == [(generator.entries_before(2),)]
    assert query("select day, run_id from raw.ingested_days order by day") == [(DAYS[0], "run-1"), (DAYS[1], "run-1")]

    ingest(ENTRIES, DAYS, run_id="run-2")
    assert query("select count(*) from raw.journal_entries") == [(generator.entries_before(4),)]


def test_a_second_attempt_of_a_run_goes_on_where_the_first_ended(ingest, api):
    api.faults = [None] * 6 + [status(500)] * 3
    with pytest.raises(Temporary):
        ingest(ENTRIES, DAYS)
    api.heal()
    assert ingest(ENTRIES, DAYS) == {day: generator.entries_of(n) for n, day in enumerate(DAYS)}
    assert not any("2026-01-01" in path.split("&")[0] for path in api.requests)


def test_a_day_whose_pages_changed_is_begun_again(ingest, query, api):
    api.rewrite = lambda request, answer: answer | {"items": answer["items"][1:]} if request == 2 else answer
    assert ingest(ENTRIES, DAYS[:1]) == {DAYS[0]: generator.entries_of(0)}
    assert query("select count(*) from raw.journal_entries") == [(generator.entries_of(0),)]
    assert len(api.requests) == 3 + 3


def test_a_day_whose_pages_change_each_time_fails_and_writes_nothing(ingest, query, api):
    ingest(ENTRIES, DAYS[:1])
    before = content(query, "journal_entries")
    api.rewrite = lambda request, answer: answer | {"window_total": answer["window_total"] + request}
    with pytest.raises(Temporary) as caught:
        ingest(ENTRIES, DAYS[:1], "run-2")
    assert str(caught.value).startswith(
        "the API's pages changed each of the 3 times that 2026-01-01 was read for raw.journal_entries: "
    )
    assert "Nothing of the day was written" in str(caught.value)
    assert content(query, "journal_entries") == before


def test_a_field_that_is_gone_fails_and_writes_nothing(ingest, query, api):
    def without_mood(request, answer):
        items = [{key: value for key, value in item.items() if key != "mood"} for item in answer["items"]]
        return answer | {"items": items}

    api.rewrite = without_mood
    with pytest.raises(Permanent, match=r"a row for raw.journal_entries has no 'mood'; it has id, user_id"):
        ingest(ENTRIES, DAYS)
    assert query("select count(*) from raw.journal_entries") == [(0,)]


def test_a_value_of_another_type_fails_and_writes_nothing(ingest, query, api):
    api.rewrite = lambda request, answer: answer | {"items": [item | {"mood": "fine"} for item in answer["items"]]}
    with pytest.raises(
        Permanent,
        match="3800 of 3800 rows of 2026-01-01 for raw.journal_entries are not of .*mood is a text, not a whole number",
    ):
        ingest(ENTRIES, DAYS)
    assert query("select count(*) from raw.journal_entries") == [(0,)]


def test_a_new_field_of_the_api_is_let_be(ingest, api):
    api.rewrite = lambda request, answer: answer | {"items": [item | {"news": 1} for item in answer["items"]]}
    assert ingest(ENTRIES, DAYS[:1]) == {DAYS[0]: generator.entries_of(0)}


def test_a_new_column_is_added_to_a_table_that_is_there(ingest, query):
    ingest(ENTRIES, DAYS[:1])
    wider = Table("journal_entries", [*ENTRIES.table.columns, Column("words", "integer", "")], "id", "created_at")
    ingest(DailySource(wider, ENTRIES.route, ENTRIES.mode), DAYS[1:2], "run-2")
    by_day = "select count(words), count(*) from raw.journal_entries group by created_at < '2026-01-02' order by 1"
    assert query(by_day) == [(0, generator.entries_of(0)), (generator.entries_of(1),) * 2]


def test_a_day_that_is_not_over_is_refused(ingest):
    today = datetime.now(UTC).date()
    with pytest.raises(Permanent, match=f"{today} is not over in UTC"):
        ingest(ENTRIES, [today])


def test_postgres_stopped_in_mid_run_costs_only_the_day_it_was_at(ingest, query, api, postgres_server, warehouse):
    def stop_postgres(handler):
        postgres_server.stop()
        return False

    done = {}
    api.faults = [None] * 7 + [stop_postgres]
    try:
        with pytest.raises(Temporary) as caught:
            ingest(ENTRIES, DAYS, done=done)
    finally:
        postgres_server.start()
    where = f"the warehouse 127.0.0.1:{warehouse.port}/{warehouse.database}"
    assert str(caught.value).startswith(f"{where} was lost while writing 2026-01-03 of raw.journal_entries: ")
    assert "see that it runs and has room, then run again" in str(caught.value)
    assert list(done) == DAYS[:2]
    assert query("select count(*) from raw.journal_entries") == [(generator.entries_before(2),)]

    assert ingest(ENTRIES, DAYS) == {day: generator.entries_of(n) for n, day in enumerate(DAYS)}
    assert query("select count(*) from raw.journal_entries") == [(generator.entries_before(4),)]


def test_a_warehouse_that_is_down_is_named(ingest, postgres_server):
    postgres_server.stop()
    try:
        with pytest.raises(Temporary, match=r"the warehouse 127.0.0.1:\d+/t_\w+ was lost while preparing raw.users"):
            ingest(USERS, DAYS)
    finally:
        postgres_server.start()


def test_tables_made_by_several_at_once_are_made_once(warehouse):
    failures = []

    def make():
        try:
            with warehouse.connect(autocommit=True) as connection:
                tables.ensure(connection, ENTRIES.table)
        except psycopg.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_two_runs_of_one_day_wait_for_each_other_and_one_that_waits_too_long_says_so(
    ingest, query, warehouse, monkeypatch
):
    monkeypatch.setattr(locks, "WAIT_S", 0.2)
    ingest(ENTRIES, DAYS[:1])
    with warehouse.connect() as other:
        locks.keep_others_out(other, ENTRIES.table, "2026-01-02")
        with pytest.raises(
            Temporary, match=r"another run is writing 2026-01-02 of raw\.journal_entries, and still was"
        ):
            ingest(ENTRIES, DAYS[1:2], "run-2")
        # Another day is nobody's.
        ingest(ENTRIES, DAYS[2:3], "run-3")
    assert query("select day::text from raw.ingested_days order by day") == [("2026-01-01",), ("2026-01-03",)]


def test_two_runs_of_the_same_days_at_once_leave_each_day_once(ingest, query):
    failures, start = [], threading.Barrier(2)

    def run(run_id):
        try:
            start.wait()
            ingest(ENTRIES, DAYS[:2], run_id)
        except Exception as error:
            failures.append(error)

    ingest(ENTRIES, DAYS[:1], "before")
    threads = [threading.Thread(target=run, args=(f"run-{n}",)) for n in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    expected = sum(generator.entries_of(n) for n in range(2))
    assert query("select count(*), count(distinct id) from raw.journal_entries") == [(expected, expected)]
