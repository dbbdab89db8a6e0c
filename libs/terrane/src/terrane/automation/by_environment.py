"""Which sensors and schedules run by themselves in this environment: `TERRANE_AUTOMATION`.

`all`, `none`, or names with commas between them, as `sweeps,manifests,analytics_automation`; what is not named waits
until somebody switches it on in the UI, where it stays as it was put. Automation conditions are evaluated by the sensor
`<location>_automation`. Unset, everything runs in the environment without a name and nothing in one with a name: a copy
of a platform on the same stores and the same source does nothing that nobody asked for.

Dagster has no public way to give a definition another default; a test holds what is set here to the installed Dagster.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_shared.check.record import is_record
from dagster_shared.record import replace

from terrane import names

ALL, NONE = "all", "none"


def runs_by_itself(name: str, variables: Mapping[str, str] = os.environ) -> bool:
    """Whether the sensor or schedule of that name may run before anybody switched it on."""
    said = variables.get(names.AUTOMATION_VARIABLE) or (NONE if names.current(variables).environment else ALL)
    return said == ALL or (said != NONE and name in {each.strip() for each in said.split(",")})


def by_environment(definitions: dg.Definitions) -> dg.Definitions:
    """The definitions, in which what does not run by itself here is off by default."""
    return replace(
        definitions,
        sensors=[_as_said(sensor) for sensor in definitions.sensors or ()],
        schedules=[_as_said(schedule) for schedule in definitions.schedules or ()],
    )


def _as_said(definition: Any) -> Any:
    status = definition.default_status
    if status.name != "RUNNING" or runs_by_itself(definition.name):
        return definition
    stopped = type(status).STOPPED
    if is_record(definition):
        return replace(definition, default_status=stopped)
    copied = copy.copy(definition)
    copied._default_status = stopped
    return copied
