"""When assets are asked for without anybody asking."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

RETRY_CRON = "*/10 * * * *"


def until_there() -> dg.AutomationCondition:
    """As soon as it is known to be missing, and every ten minutes as long as it stays so."""
    due = dg.AutomationCondition.missing().newly_true() | dg.AutomationCondition.cron_tick_passed(RETRY_CRON)
    wanted = due.since_last_handled() & dg.AutomationCondition.missing() & ~dg.AutomationCondition.in_progress()
    return wanted.with_label("until there")


def once_all_settled(keys: Iterable[dg.AssetKey]) -> dg.AutomationCondition:
    """As soon as something upstream is new, but not while one of `keys` is missing or being made.

    Without the second half, a chain over several tables runs once for each of them while they trickle in.
    """
    condition = dg.AutomationCondition.eager()
    for key in sorted(keys):
        unsettled = dg.AutomationCondition.missing() | dg.AutomationCondition.in_progress()
        condition = condition & ~dg.AutomationCondition.asset_matches(key, unsettled)
    return condition.with_label("eager once all sources are settled")
