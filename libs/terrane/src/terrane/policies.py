"""What every location does alike: who evaluates its automation, how soon, and a run that only shows that runs start."""

import time
from collections.abc import Iterable

import dagster as dg

AUTOMATION_INTERVAL_S = 5
RETRY_CRON = "*/10 * * * *"


def automation_sensor(location: str) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates the location's automation conditions.

    Dagster's own default looks every 30 s and is off until somebody switches it on; three hops from landing zone to
    features would then take minutes.
    """
    return dg.AutomationConditionSensorDefinition(
        f"{location}_automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=AUTOMATION_INTERVAL_S,
    )


def until_there() -> dg.AutomationCondition:
    """As soon as nothing upstream is missing or being made, and every ten minutes as long as the asset is missing.

    Dagster's own `eager` and `on_missing` let an asset be that was missing when they first looked, and one whose first
    run failed: both wait for something upstream to be new, which may be a day, or for ever.
    """
    missing: dg.AutomationCondition = dg.AutomationCondition.missing()
    asked = dg.AutomationCondition.initial_evaluation() | missing.newly_true()
    due = (asked | dg.AutomationCondition.cron_tick_passed(RETRY_CRON)).since(dg.AutomationCondition.newly_requested())
    return (
        due
        & missing
        & ~dg.AutomationCondition.in_progress()
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
    ).with_label("until there")


def eager() -> dg.AutomationCondition:
    """As soon as something upstream is new, and until the asset is there."""
    return (dg.AutomationCondition.eager() | until_there()).with_label("eager, and until there")


def when_any_is_new() -> dg.AutomationCondition:
    """As soon as any partition upstream is new, whatever becomes of the others, and until the asset is there.

    For what takes the newest of what is published, a partition a batch: neither a batch that is missing, nor one that
    is being made, nor a check that another batch has failed keeps a publication from it. What is published has passed
    its checks before.
    """
    absent: dg.AutomationCondition = dg.AutomationCondition.missing()
    # Dagster's any_deps_updated and a look at what is there go through all partitions, of which there may be 100,000.
    updated: dg.AutomationCondition = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.newly_updated())
    new = updated | (dg.AutomationCondition.initial_evaluation() & absent)
    # Reset one tick after the request: what is new at that tick came after it and is kept.
    pending = new.since(dg.AutomationCondition.newly_requested() & ~new)
    again = absent & dg.AutomationCondition.cron_tick_passed(RETRY_CRON)
    there: dg.AutomationCondition = dg.AutomationCondition.all_deps_match(~dg.AutomationCondition.missing())
    due = (pending | again) & ~dg.AutomationCondition.in_progress() & there
    return due.with_label("when any partition upstream is new")


def once_all_settled(keys: Iterable[dg.AssetKey]) -> dg.AutomationCondition:
    """As soon as something upstream is new, but not while one of `keys` is missing or being made.

    Without the second half, a chain over several tables runs once for each of them while they trickle in.
    """
    unsettled: dg.AutomationCondition = dg.AutomationCondition.missing() | dg.AutomationCondition.in_progress()
    settled: dg.AutomationCondition = ~dg.AutomationCondition.in_progress()
    for key in sorted(keys):
        settled = settled & ~dg.AutomationCondition.asset_matches(key, unsettled)
    return (eager() & settled).with_label("eager, once all sources are settled")


class Ping(dg.Config):
    """How long the run stays, in seconds: to see what becomes of a run that is under way."""

    seconds: float = 0


def ping_job() -> dg.JobDefinition:
    """The job `ping`, which does nothing: launch it to see whether a run of the location starts, and how soon."""

    @dg.op
    def answer(context: dg.OpExecutionContext, config: Ping) -> None:
        time.sleep(config.seconds)
        context.log.info("a run of this location starts and ends")

    @dg.job(description="Does nothing: shows whether a run of this location starts, and how soon.")
    def ping() -> None:
        answer()

    return ping
