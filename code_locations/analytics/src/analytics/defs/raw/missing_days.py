"""The sensor that asks for days of users and journal entries that are over and not in the warehouse."""

import time

import dagster as dg

from analytics import partitions
from analytics.missing_days import ASKED_BY, MOST_TOLD, Asked, days_there, gaps, request, untold
from terrane.errors import Permanent, Temporary
from terrane.postgres import PostgresResource

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
def missing_days(context: dg.SensorEvaluationContext, warehouse: PostgresResource) -> dg.SensorResult | dg.SkipReason:
    days = partitions.daily().get_partition_keys()
    asked, now = Asked.from_cursor(context.cursor), time.time()
    if not days:
        return dg.SkipReason("no day is over yet since INGESTION_START_DATE")
    if not asked.is_due(days[-1], now):
        return dg.SkipReason(f"looked at all days to {asked.through} already")
    if context.instance.get_runs_count(dg.RunsFilter(tags=ASKED_BY, statuses=UNFINISHED)):
        return dg.SkipReason("the run that was asked for is under way")
    try:
        there = days_there(warehouse, [key.path[-1] for key in KEYS])
    except (Temporary, Permanent) as error:
        return dg.SkipReason(f"which days are there is not known: {error}")
    stretches = gaps(days, set(days) - set.intersection(*(set(found) for found in there.values())))
    events = [event for key in KEYS for event in untold(context.instance, key, there[key.path[-1]], days)]
    times = asked.times + 1 if stretches else 0
    return dg.SensorResult(
        run_requests=[request(KEYS, first, last) for first, last in stretches],
        asset_events=events[:MOST_TOLD],
        cursor=Asked(days[-1], times, now).to_cursor(),
    )
