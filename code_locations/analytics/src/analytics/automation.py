"""When dbt's models are asked for without anybody asking."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from terrane.policies import eager


def once_all_settled(keys: Iterable[dg.AssetKey]) -> dg.AutomationCondition:
    """As soon as something upstream is new, but not while one of `keys` is missing or being made.

    Without the second half, a chain over several tables runs once for each of them while they trickle in.
    """
    unsettled: dg.AutomationCondition = dg.AutomationCondition.missing() | dg.AutomationCondition.in_progress()
    settled: dg.AutomationCondition = ~dg.AutomationCondition.in_progress()
    for key in sorted(keys):
        settled = settled & ~dg.AutomationCondition.asset_matches(key, unsettled)
    return (eager() & settled).with_label("eager, once all sources are settled")
