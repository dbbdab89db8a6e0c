"""Days that the warehouse lacks are asked for at once, and not over and over; what it has is told instead."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime

import dagster as dg
import pytest
from faulty_api import FIRST_DAY
from location import loaded
from sources import ENTRIES, USERS

from analytics import partitions
from analytics.missing_days import ASKED_BY, Asked, gaps
from analytics.warehouse import tables
from analytics.warehouse.tables import Column
from terrane.postgres import PostgresResource

pytestmark = pytest.mark.integration

DAYS = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05"]
USERS_KEY = dg.AssetKey(["raw", "users"])
KEYS = (USERS_KEY, dg.AssetKey(["raw", "journal_entries"]))
FIRST, LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def tick(instance, warehouse):
    # Before a test says when ingestion starts: the definitions are loaded once for all of them.
    sensor = next(s for s in loaded().sensors or () if s.name == "missing_days")

    def evaluate(cursor=None, warehouse=warehouse):
        context = dg.build_sensor_context(instance, cursor=cursor, resources={"warehouse": warehouse})
        return sensor.evaluate_tick(context)

    return evaluate


@pytest.fixture
def record(warehouse):
    """Days in the ledger, as runs write them with their rows; and the tables."""

    def write(keys, days):
        with warehouse.connect(autocommit=True) as connection:
            for source in (USERS, ENTRIES):
                tables.ensure(connection, source.table)
            for key in keys:
                for day in days:
                    connection.execute(
                        "insert into raw.ingested_days (table_name, day, rows, run_id) values (%s, %s, 7, 'run')",
                        [key.path[-1], day],
                    )

    return write


def events(asked):
    return {(event.asset_key.path[-1], event.partition) for event in asked.asset_events}


def only_run(asked):
    (run,) = asked.run_requests
    return run


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ([], []),
        (DAYS, [(DAYS[0], DAYS[4])]),
        ([DAYS[4]], [(DAYS[4], DAYS[4])]),
        ([DAYS[0], DAYS[2], DAYS[3]], [(DAYS[0], DAYS[0]), (DAYS[2], DAYS[3])]),
    ],
)
def test_each_gap_is_one_stretch(missing, expected):
    assert gaps(DAYS, missing) == expected


def test_the_wait_doubles_from_a_minute_to_an_hour():
    waits = [
        next(s for s in range(0, 4000, 10) if Asked("2026-01-05", times, 0).is_due("2026-01-05", s))
        for times in range(1, 9)
    ]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_new_day_is_due_whatever_the_wait():
    assert Asked("2026-01-05", 9, at=1000).is_due("2026-01-06", now=1001)


def test_only_complete_days_are_days():
    days = partitions.daily().get_partition_keys(current_time=datetime(2026, 1, 6, 0, 0, 1, tzinfo=UTC))
    assert days == DAYS
    assert days[0] == FIRST_DAY.isoformat()


def test_a_first_day_that_is_no_day_is_named(monkeypatch):
    monkeypatch.setenv("INGESTION_START_DATE", "last week")
    with pytest.raises(ValueError, match="INGESTION_START_DATE is 'last week', which is no day; set it to one such as"):
        partitions.daily()


def test_before_the_first_day_is_over_nothing_is_asked_for(tick, monkeypatch):
    monkeypatch.setenv("INGESTION_START_DATE", datetime.now(UTC).date().isoformat())
    assert tick().skip_message == "no day is over yet since INGESTION_START_DATE"


def test_all_days_are_asked_for_as_one_run_of_both_tables(tick):
    asked = tick()
    days = partitions.daily().get_partition_keys()
    run = only_run(asked)
    assert set(run.asset_selection or ()) == set(KEYS)
    assert run.tags["dagster/asset_partition_range_start"] == days[0]
    assert run.tags["dagster/asset_partition_range_end"] == days[-1]


def test_nothing_is_asked_for_twice_in_a_row(tick):
    again = tick(tick().cursor)
    assert (again.run_requests, again.skip_message) == (
        [],
        f"looked at all days to {partitions.daily().get_last_partition_key()} already",
    )


def test_days_that_are_there_are_not_asked_for(tick, record):
    days = partitions.daily().get_partition_keys()
    record(KEYS, [*days[:3], *days[5:]])
    record(KEYS[:1], days[3:4])
    run = only_run(tick())
    assert (run.tags["dagster/asset_partition_range_start"], run.tags["dagster/asset_partition_range_end"]) == (
        days[3],
        days[4],
    )


def test_when_nothing_is_missing_nothing_is_asked_for(tick, record):
    record(KEYS, partitions.daily().get_partition_keys())
    asked = tick()
    assert asked.run_requests == []
    assert Asked.from_cursor(asked.cursor).times == 0


def test_while_its_run_is_under_way_nothing_is_asked_for(tick, instance):
    instance.create_run_for_job(
        dg.JobDefinition(name="j", graph_def=dg.GraphDefinition("g")), tags=ASKED_BY, status=dg.DagsterRunStatus.STARTED
    )
    assert tick().skip_message == "the run that was asked for is under way"


def test_an_old_failure_is_asked_for_again_after_its_wait(tick):
    days = partitions.daily().get_partition_keys()
    waiting = Asked(days[-1], 3, datetime.now(UTC).timestamp() - 200).to_cursor()
    over = Asked(days[-1], 3, datetime.now(UTC).timestamp() - 300).to_cursor()
    assert tick(waiting).run_requests == []
    asked = tick(over)
    assert len(asked.run_requests or ()) == 1
    assert Asked.from_cursor(asked.cursor).times == 4


def test_after_a_restore_the_days_that_are_gone_are_asked_for_again(location, tick, query):
    assert location.run("raw/users", "raw/journal_entries", days=(DAYS[0], DAYS[4])).success
    (first, *_) = [(run.tags[FIRST], run.tags[LAST]) for run in tick().run_requests]
    assert first[0] == "2026-01-06"
    # As after a restore of the evening of the third: rows and ledger are of one moment.
    query("delete from raw.ingested_days where day > '2026-01-03' and table_name = 'journal_entries' returning 1")
    query("delete from raw.journal_entries where created_at >= '2026-01-04' returning 1")
    assert only_run(tick()).tags[FIRST] == "2026-01-04"
    assert location.run("raw/users", "raw/journal_entries", days=(DAYS[3], DAYS[4])).success
    assert only_run(tick()).tags[FIRST] == "2026-01-06"


def test_of_a_dropped_table_all_days_are_asked_for_also_once_it_is_there_again(location, tick, warehouse):
    assert location.run("raw/users", "raw/journal_entries", days=(DAYS[0], DAYS[2])).success
    with warehouse.connect() as connection:
        connection.execute("drop table raw.journal_entries")
    assert only_run(tick()).tags[FIRST] == DAYS[0]
    assert location.run("raw/journal_entries", days=(DAYS[2], DAYS[2])).success
    assert [run.tags[FIRST] for run in tick().run_requests] == [DAYS[0], DAYS[3]]


KILLED = """
import json, os, signal, sys
from datetime import date
from sources import ENTRIES
from analytics.ingestion import ingest_days
from analytics.source.client import SourceClient
from terrane.postgres import PostgresResource

def done(day, rows):
    if day.day == 3:
        os.kill(os.getpid(), signal.SIGKILL)

given = json.loads(sys.stdin.read())
with SourceClient(given["url"], given["key"], 5, 1, 0) as client:
    days = [date(2026, 1, n) for n in range(1, 6)]
    ingest_days(PostgresResource(**given["warehouse"]), client, ENTRIES, days, "killed", done)
"""


def test_a_run_of_many_days_that_was_killed_loses_what_it_was_at_and_nothing_else(
    tick, record, warehouse, api, query, source_api
):
    fields = {name: getattr(warehouse, name) for name in ("host", "port", "user", "password", "database")}
    given = json.dumps({"url": api.url, "key": source_api.key, "warehouse": fields})
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED], input=given, text=True, env=environment)
    assert done.returncode == -signal.SIGKILL
    record([USERS_KEY], DAYS)
    assert query("select count(distinct created_at::date) from raw.journal_entries") == [(3,)]
    asked = tick()
    # Nobody told the event log of them: that is done without reading them again.
    assert {day for name, day in events(asked) if name == "journal_entries"} == set(DAYS[:3])
    assert only_run(asked).tags[FIRST] == DAYS[3]


def test_what_was_told_is_not_told_again(tick, record, instance):
    record(KEYS, DAYS)
    told = tick()
    assert events(told) == {(key.path[-1], day) for key in KEYS for day in DAYS}
    for event in told.asset_events:
        instance.report_runless_asset_event(event)
    assert events(tick()) == set()


def test_a_warehouse_that_is_away_is_said_and_nothing_is_asked_for(tick):
    away = PostgresResource(host="127.0.0.1", port="1", user="u", password="p", database="d")
    said = tick(warehouse=away)
    assert said.run_requests == []
    assert "which days are there is not known: the warehouse 127.0.0.1:1/" in said.skip_message


@pytest.mark.parametrize(("fill", "first"), [(True, DAYS[0]), (False, DAYS[3])])
def test_a_new_column_asks_for_all_days_again_where_that_is_said(tick, record, ingest, fill, first):
    record([USERS_KEY], DAYS)
    ingest(ENTRIES, [date.fromisoformat(day) for day in DAYS[:2]])
    assert only_run(tick()).tags[FIRST] == DAYS[2]
    wider = replace(ENTRIES.table, columns=[*ENTRIES.table.columns, Column("words", "integer not null", "")])
    ingest(replace(ENTRIES, table=wider, fill_new_columns=fill), [date.fromisoformat(DAYS[2])], "run-2")
    assert tick().run_requests[0].tags[FIRST] == first
