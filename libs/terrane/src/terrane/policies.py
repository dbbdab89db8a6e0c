"""What every location does alike: who evaluates its automation, and how soon."""

from __future__ import annotations

import dagster as dg

AUTOMATION_INTERVAL_S = 5


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
