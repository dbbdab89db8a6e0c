"""Prints what a location declares, as JSON: run by the location's own interpreter, with the network taken away.

It is a program of its own because no other environment holds the location's dependencies.
"""

from __future__ import annotations

import importlib
import json
import socket
import sys
from typing import Any

import dagster as dg


def refuse(*_: object) -> None:
    raise AssertionError("the definitions opened a connection while they were loaded")


def main() -> None:
    location = sys.argv[1]
    before = set(sys.modules)
    for call in ("connect", "connect_ex"):
        setattr(socket.socket, call, refuse)
    declared = importlib.import_module(f"{location}.definitions").defs
    definitions = declared if isinstance(declared, dg.Definitions) else declared()
    graph = definitions.resolve_asset_graph()
    report = {
        "assets": {key.to_user_string(): asset(graph.get(key)) for key in sorted(graph.materializable_asset_keys)},
        # Put there from outside, and described: what a dependency alone makes known has no owner.
        "sources": sorted(key.to_user_string() for key in graph.external_asset_keys if graph.get(key).owners),
        "jobs": sorted(job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")),
        "sensors": {s.name: s.default_status.value for s in definitions.sensors or []},
        "requested": requested(definitions),
        "schedules": sorted(s.name for s in definitions.schedules or []),
        "modules": sorted({name.split(".")[0] for name in set(sys.modules) - before}),
    }
    json.dump(report, sys.stdout)


def requested(definitions: dg.Definitions) -> dict[str, list[str]]:
    """The assets that each sensor asks for by itself, by sensor; those that evaluate automation are left out."""
    graph = definitions.resolve_asset_graph()
    asked: dict[str, list[str]] = {}
    for sensor in definitions.sensors or []:
        if not isinstance(sensor, dg.AutomationConditionSensorDefinition):
            selections = [getattr(target.resolvable_to_job, "selection", None) for target in sensor.targets]
            selections.append(sensor.asset_selection)
            keys = {key for selection in selections if selection for key in selection.resolve(graph)}
            asked[sensor.name] = sorted(key.to_user_string() for key in keys)
    return asked


def asset(node: Any) -> dict[str, Any]:
    condition = node.automation_condition
    return {
        "deps": sorted(key.to_user_string() for key in node.parent_keys),
        "group": node.group_name,
        "owners": sorted(node.owners),
        "kinds": sorted(node.kinds),
        "tags": dict(node.tags),
        "description": node.description or "",
        "partitions": type(node.partitions_def).__name__ if node.partitions_def else None,
        "automation": (condition.get_label() or condition.name or "custom") if condition else None,
        "freshness": node.freshness_policy is not None or "freshness" in node.metadata,
        "checks": sorted(key.name for key in node.check_keys),
    }


if __name__ == "__main__":
    main()
