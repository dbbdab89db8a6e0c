"""When assets are asked for by themselves, and what every asset of a location carries.

Five conditions, made of Dagster's own so that the daemon evaluates them over all locations and the UI shows why:

- `when_new`: an asset made from what it depends on;
- `when_any_is_new`: one that takes the newest of many partitions;
- `when_sources_settle`: one of a project that reads several tables, built once when they have settled;
- `until_there`: one that a schedule makes, asked for by itself only as long as it is missing or its run has failed;
- `when_unproved`: a check whose asset has content that it has not seen.

docs/automation.md has the table of what each survives; tests/automation holds them to it.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypedDict

import dagster as dg

from terrane.ownership import Ownership

# A look of three locations costs a fifth of a processor at 5 s: Dagster makes some 60 connections to Postgres for it.
AUTOMATION_INTERVAL_S = 10
RETRY_DELAY_S = 15.0
RETRY_SOON = "*/10 * * * *"
RETRY_LATER = "0 * * * *"
# Of even and of odd days: once both have passed there were two in a row.
MIDNIGHTS = ("0 0 2-30/2 * *", "0 0 1-31/2 * *")

AC = dg.AutomationCondition
Condition = Any  # Dagster's conditions are generic over the kinds of keys, and say of none that it is an asset's


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


def until_there() -> Condition:
    """Asked for as long as it is missing or its newest run failed, whoever launched that."""
    return _asked(AC.code_version_changed(), ready=_deps_are_there() & ~_deps_in_progress()).with_label("until there")


def when_new(unchecked: Iterable[dg.AssetKey] = ()) -> Condition:
    """Asked for as soon as something upstream, or its own code, is new, none of it is being made and all of it proved.

    Args:
        unchecked: what upstream need not have passed its blocking checks.
    """
    ready = _deps_are_there() & ~_deps_in_progress() & _deps_are_proved(unchecked)
    return _asked(_deps_updated() | AC.code_version_changed(), ready).with_label("when something upstream is new")


def when_any_is_new() -> Condition:
    """Asked for as soon as any partition upstream is new, whatever becomes of the others.

    For what takes the newest of what is published, a partition a batch: neither a batch that is missing, nor one that
    is being made, nor a check that another batch has failed keeps a publication from it. What is published has passed
    its checks before.
    """
    # Dagster's any_deps_updated goes through all partitions, of which there may be 100,000.
    new: Condition = AC.newly_updated()
    trigger = AC.any_deps_match(new) | AC.code_version_changed()
    there = AC.all_deps_match(~AC.missing())
    return _asked(trigger, there, new).with_label("when any partition upstream is new")


def when_sources_settle(
    sources: Iterable[dg.AssetKey], own_checks: Iterable[dg.AssetCheckKey] = (), *, reads_them: bool = True
) -> Condition:
    """As `when_new`, once none of `sources` is being made and none has failed a blocking check.

    Without the first, a chain over several tables is built once for each of them while they trickle in; for that a
    source of which nothing is there yet is waited for too, ten minutes at most. Then it holds what reads it, and
    nothing else; and where no location has its asset, not even that: another system fills it.

    Args:
        sources: the tables that the project reads and does not make.
        own_checks: checks of those tables that the project's own run evaluates; a table is not unproved for want of
            them.
        reads_them: whether the asset itself reads a source; what only comes after such assets waits for them alone.
    """
    keys = sorted(sources)
    selection = dg.AssetSelection.assets(*keys)
    trigger = AC.any_deps_match(_new()) | AC.any_deps_match(AC.will_be_requested()).ignore(selection)
    ready = _deps_are_there().allow(dg.AssetSelection.all()) & ~_deps_in_progress() & _deps_are_proved(keys)
    there_or_waited_for = ~AC.missing() | AC.cron_tick_passed(RETRY_SOON).since(~AC.missing())
    for key in keys:
        # What does not read a source may still read it through a view of another model.
        ready = ready & ~AC.asset_matches(key, _unproved(own_checks))
        if reads_them:
            being_made = AC.in_progress() | AC.will_be_requested()
            ready = ready & ~AC.asset_matches(key, being_made) & AC.asset_matches(key, there_or_waited_for)
    return _asked(trigger | AC.code_version_changed(), ready).with_label(
        "when something is new and sources are settled"
    )


def when_unproved() -> Condition:
    """Of a check: asked for when its asset has content that it did not come to, at once and every ten minutes."""
    evaluated = AC.check_passed() | AC.check_failed() | AC.in_progress()
    asked = (~evaluated).newly_true().since(AC.newly_requested())
    again = AC.cron_tick_passed(RETRY_SOON).since(AC.newly_requested())
    return ((asked | again) & ~evaluated & AC.all_deps_match(~AC.missing())).with_label("when content is unproved")


class SpecDefaults(TypedDict, total=False):
    """What `spec_defaults` gives."""

    owners: list[str]
    tags: dict[str, str]
    group_name: str
    freshness_policy: dg.FreshnessPolicy


class AssetDefaults(SpecDefaults, total=False):
    """What `asset_defaults` gives."""

    retry_policy: dg.RetryPolicy


def asset_defaults(
    owned: Ownership,
    group: str,
    fresh_hours: float | None,
    tags: Mapping[str, str] | None = None,
    retries: dg.RetryPolicy | None = None,
) -> AssetDefaults:
    """What every asset of a location that a run makes carries: as `spec_defaults`, and retries."""
    return {**spec_defaults(owned, group, fresh_hours, tags), "retry_policy": retries or retry_policy()}


def spec_defaults(
    owned: Ownership, group: str, fresh_hours: float | None, tags: Mapping[str, str] | None = None
) -> SpecDefaults:
    """Owner, tags, group and freshness.

    Args:
        owned: whose they are: the location's, `terrane.ownership`.
        group: as the lineage shows it.
        fresh_hours: how old the newest materialisation may be; None where its metadata says why there is no bound.
        tags: further ones.
    """
    carried: SpecDefaults = {
        "owners": owned.owners,
        "tags": {**owned.tags, **(tags or {})},
        "group_name": group,
    }
    if fresh_hours is not None:
        carried["freshness_policy"] = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=fresh_hours))
    return carried


def retry_policy(retries: int = 2, delay_s: float | None = None) -> dg.RetryPolicy:
    """Within a run, for what `terrane.errors` calls temporary: what is permanent fails at once all the same.

    The wait doubles, from RETRY_DELAY_S unless it is said otherwise.
    """
    delay = RETRY_DELAY_S if delay_s is None else delay_s
    return dg.RetryPolicy(max_retries=retries, delay=delay, backoff=dg.Backoff.EXPONENTIAL)


def _asked(trigger: Condition, ready: Condition, new: Condition | None = None) -> Condition:
    """Pending since the trigger, missing, or failed and its wait over; and ready, and not being made.

    Args:
        new: of a dependency, what of the trigger may come at the tick after the request.
    """
    # Reset one tick after the request: what is new at that tick came after it and is kept.
    came_after = AC.any_deps_match(_new() if new is None else new)
    handled = (AC.newly_requested() & ~came_after) | _reported()
    pending = trigger.since(handled).with_label("new since it was asked for")
    # At the first look all of a history is missing: of partitions, the newest alone is asked for.
    first_look = AC.initial_evaluation() & ~AC.in_latest_time_window()
    appeared = AC.missing().newly_true() & ~first_look
    missing = (appeared.since(AC.newly_requested()) & AC.missing()).with_label("missing and not yet asked for")
    return (pending | missing | _retry()) & ~AC.in_progress() & ready


def _reported() -> Condition:
    """Reported as made, by no run of ours, after all that is upstream: of a run, when it read is not known.

    Which of two events of one tick came later, Dagster knows of operands that stand alone; of equals, the upstream's.
    Of its conditions on runs, those on the latest know that of one partition alone, the one that was made last.
    """
    newest = AC.newly_updated().since(AC.any_deps_match(AC.newly_updated()))
    return AC.newly_updated() & ~AC.any_new_update_has_run_tags() & newest


def _retry() -> Condition:
    """Of what was asked for and not made: every ten minutes to the full hour, hourly to the second midnight.

    Dagster keeps the state of a `since` under the names of its two operands alone, so no two of one condition may be
    of the same: two `(... & ...).since(~...)` would share it. A test looks for that.
    """
    an_hour = AC.cron_tick_passed(RETRY_LATER).since(~_asked_in_vain())
    soon, later = (AC.cron_tick_passed(cron).since(AC.newly_requested()) for cron in (RETRY_SOON, RETRY_LATER))
    return (_failed() & ((soon & ~an_hour) | later) & ~given_up()).with_label("failed, and the wait is over")


def given_up() -> Condition:
    """Asked for in vain until the second midnight."""
    even, odd = (AC.cron_tick_passed(cron).since(~_asked_in_vain()) for cron in MIDNIGHTS)
    return (even & odd).with_label("asked for in vain until the second midnight")


def _failed() -> Condition:
    """Asked for and not made since, by whatever its run ended; or its run did not come to it or to its checks."""
    left_out = AC.any_deps_match(AC.newly_updated() & AC.executed_with_root_target()).since(AC.newly_updated())
    unproved = AC.any_checks_match(AC.execution_failed(), blocking_only=True)
    return _asked_in_vain() | left_out | AC.execution_failed() | unproved


def _asked_in_vain() -> Condition:
    return AC.newly_requested().since(AC.newly_updated())


def _new() -> Condition:
    """Of a dependency: new, and not by a run that makes what depends on it as well."""
    return AC.newly_updated() & ~AC.executed_with_root_target()


def _deps_updated() -> Condition:
    return AC.any_deps_match(_new() | AC.will_be_requested())


def _deps_are_there() -> Condition:
    """Of each dependency there is something: of one in partitions, at least one of them."""
    return AC.all_deps_match(~AC.missing() | AC.will_be_requested())


def _deps_in_progress() -> Condition:
    return AC.any_deps_in_progress()


def _deps_are_proved(unchecked: Iterable[dg.AssetKey] = ()) -> Condition:
    """A failed attempt at a dependency leaves what was proved before; `automation.proof` looks once more in the run."""
    unproved = AC.any_deps_match(_newly_unproved() & ~AC.will_be_requested())
    keys = sorted(unchecked)
    return ~(unproved.ignore(dg.AssetSelection.assets(*keys)) if keys else unproved)


def _unproved(except_for: Iterable[dg.AssetCheckKey] = ()) -> Condition:
    """Its newest content has not passed its blocking checks, or one of them has failed since."""
    return _newly_unproved(except_for) | AC.any_checks_match(AC.check_failed(), blocking_only=True)


def _newly_unproved(except_for: Iterable[dg.AssetCheckKey] = ()) -> Condition:
    passed = AC.all_checks_match(AC.check_passed(), blocking_only=True)
    checks = sorted(except_for)
    if checks:
        passed = passed.ignore(dg.AssetSelection.checks(*checks))
    return AC.newly_updated().since(passed)


class Ping(dg.Config):
    """How long the job sleeps, in seconds; used to test what becomes of a run under way."""

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
