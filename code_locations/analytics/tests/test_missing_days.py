"""Missing days are asked for at once, and not over and over."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from faulty_api import FIRST_DAY
from location import loaded

from analytics import partitions
from analytics.missing_days import ASKED_BY, Asked, gaps

pytestmark = pytest.mark.unit

DAYS = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05"]
KEYS = (dg.AssetKey(["raw", "users"]), dg.AssetKey(["raw", "journal_entries"]))


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def tick(instance, cursor=None):
    sensor = next(s for s in loaded().sensors or () if s.name == "missing_days")
    return sensor.evaluate_tick(dg.build_sensor_context(instance, cursor=cursor))


def only_run(asked):
    (run,) = asked.run_requests
    return run


def record(instance, keys, days):
    for key in keys:
        for day in days:
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))


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


def test_before_the_first_day_is_over_nothing_is_asked_for(instance, monkeypatch):
    monkeypatch.setenv("INGESTION_START_DATE", datetime.now(UTC).date().isoformat())
    assert tick(instance).skip_message == "no day is over yet since INGESTION_START_DATE"


def test_all_days_are_asked_for_as_one_run_of_both_tables(instance):
    asked = tick(instance)
    days = partitions.daily().get_partition_keys()
    run = only_run(asked)
    assert set(run.asset_selection or ()) == set(KEYS)
    assert run.tags["dagster/asset_partition_range_start"] == days[0]
    assert run.tags["dagster/asset_partition_range_end"] == days[-1]


def test_nothing_is_asked_for_twice_in_a_row(instance):
    again = tick(instance, tick(instance).cursor)
    assert (again.run_requests, again.skip_message) == (
        [],
        f"looked at all days to {partitions.daily().get_last_partition_key()} already",
    )


def test_days_that_are_there_are_not_asked_for(instance):
    days = partitions.daily().get_partition_keys()
    record(instance, KEYS, [*days[:3], *days[5:]])
    record(instance, KEYS[:1], days[3:4])
    run = only_run(tick(instance))
    assert (run.tags["dagster/asset_partition_range_start"], run.tags["dagster/asset_partition_range_end"]) == (
        days[3],
        days[4],
    )


def test_when_nothing_is_missing_nothing_is_asked_for(instance):
    record(instance, KEYS, partitions.daily().get_partition_keys())
    asked = tick(instance)
    assert asked.run_requests == []
    assert Asked.from_cursor(asked.cursor).times == 0


def test_while_its_run_is_under_way_nothing_is_asked_for(instance):
    instance.create_run_for_job(
        dg.JobDefinition(name="j", graph_def=dg.GraphDefinition("g")), tags=ASKED_BY, status=dg.DagsterRunStatus.STARTED
    )
    assert tick(instance).skip_message == "the run that was asked for is under way"


def test_an_old_failure_is_asked_for_again_after_its_wait(instance):
    days = partitions.daily().get_partition_keys()
    waiting = Asked(days[-1], 3, datetime.now(UTC).timestamp() - 200).to_cursor()
    over = Asked(days[-1], 3, datetime.now(UTC).timestamp() - 300).to_cursor()
    assert tick(instance, waiting).run_requests == []
    asked = tick(instance, over)
    assert len(asked.run_requests or ()) == 1
    assert Asked.from_cursor(asked.cursor).times == 4
