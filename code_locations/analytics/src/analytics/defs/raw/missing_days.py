"""The sensor that asks for days of users and journal entries that are over and were not ingested."""

import time

import dagster as dg

from analytics import partitions
from analytics.missing_days import ASKED_BY, Asked, gaps, request

KEYS = (dg.AssetKey(["raw", "users"]), dg.AssetKey(["raw", "journal_entries"]))

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    target=dg.AssetSelection.assets(*KEYS),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
    description="Asks for missing days that are over, as one run a gap; waits longer each time that it did not help.",
)
def missing_days(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    days = partitions.daily().get_partition_keys()
    asked, now = Asked.from_cursor(context.cursor), time.time()
    if not days:
        return dg.SkipReason("no day is over yet since INGESTION_START_DATE")
    if not asked.is_due(days[-1], now):
        return dg.SkipReason(f"looked at all days to {asked.through} already")
    if context.instance.get_runs_count(dg.RunsFilter(tags=ASKED_BY, statuses=UNFINISHED)):
        return dg.SkipReason("the run that was asked for is under way")
    there = [context.instance.get_materialized_partitions(key) for key in KEYS]
    stretches = gaps(days, set(days) - set.intersection(*there))
    times = asked.times + 1 if stretches else 0
    return dg.SensorResult(
        run_requests=[request(KEYS, first, last) for first, last in stretches],
        cursor=Asked(days[-1], times, now).to_cursor(),
    )
