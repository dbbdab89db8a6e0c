"""Dagster's instance on this machine: its `dagster.yaml`, and the workspace that names every code server.

What holds on a cluster holds here, and is written once, in charts/platform/values.yaml. Here is what differs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic.alias_generators import to_snake

from terrane_cli.laptop.settings import Settings
from terrane_cli.project import Project

VALUES = "charts/platform/values.yaml"
# What the chart asks of a section whether it is to be written at all.
SWITCHED = ("retention", "concurrency")


def write_instance(project: Project, settings: Settings) -> Path:
    """Writes `dagster.yaml` and `workspace.yaml` and returns their folder, which is DAGSTER_HOME."""
    home = project.state / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    servers = [
        {"grpc_server": {"host": "127.0.0.1", "port": settings.ports[name], "location_name": name}}
        for name in project.locations
    ]
    (home / "dagster.yaml").write_text(yaml.safe_dump(_instance(project, home)))
    (home / "workspace.yaml").write_text(json.dumps({"load_from": servers}, indent=2))
    return home


def _instance(project: Project, home: Path) -> dict[str, Any]:
    shared = _as_on_the_cluster(project)
    # One person, who waits for less, and few processors.
    shared["run_monitoring"] |= {"start_timeout_seconds": 120, "poll_interval_seconds": 10}
    shared["concurrency"]["runs"] = {"max_concurrent_runs": 4}
    shared["schedules"]["num_workers"] = 2
    postgres = {"username": "USER", "password": "PASSWORD", "hostname": "HOST", "port": "PORT", "db_name": "DB"}
    variables = {name: {"env": f"DAGSTER_POSTGRES_{variable}"} for name, variable in postgres.items()}
    return shared | {
        "storage": {"postgres": {"postgres_db": variables}},
        "compute_logs": {
            "module": "dagster.core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(home / "compute_logs")},
        },
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 1},
        },
        "run_launcher": {"module": "terrane_cli.laptop.run_launcher", "class": "LaptopRunLauncher"},
    }


def _as_on_the_cluster(project: Project) -> dict[str, Any]:
    """The sections of dagster.yaml that the chart writes from its values of the same names."""
    chart = yaml.safe_load((project.root / VALUES).read_text())["dagster"]
    taken = {name: chart["dagsterDaemon"][name] for name in ("runMonitoring", "runRetries", "sensors", "schedules")}
    taken |= {name: {k: v for k, v in chart[name].items() if k != "enabled"} for name in SWITCHED}
    return _snake_case(taken | {"telemetry": chart["telemetry"]} | chart["additionalInstanceConfig"])


def _snake_case(node: Any) -> Any:
    return {to_snake(name): _snake_case(value) for name, value in node.items()} if isinstance(node, dict) else node
