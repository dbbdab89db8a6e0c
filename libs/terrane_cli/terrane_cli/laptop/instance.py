"""Dagster's instance on this machine: its `dagster.yaml`, and the workspace that names every code server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from terrane_cli.laptop.settings import Settings
from terrane_cli.project import Project

MAX_CONCURRENT_RUNS = 4
# In days, by how a tick ended.
TICKS_KEPT = {"skipped": 1, "success": 7, "failure": 30, "started": 7}


def write_instance(project: Project, settings: Settings) -> Path:
    """Writes `dagster.yaml` and `workspace.yaml` and returns their folder, which is DAGSTER_HOME."""
    home = project.state / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    # JSON is YAML, and needs no library to write.
    (home / "dagster.yaml").write_text(json.dumps(_instance(home), indent=2))
    (home / "workspace.yaml").write_text(json.dumps(_workspace(project, settings), indent=2))
    return home


def _instance(home: Path) -> dict[str, Any]:
    variable = {
        name: {"env": f"DAGSTER_POSTGRES_{name.upper()}"} for name in ("user", "password", "host", "port", "db")
    }
    return {
        "storage": {
            "postgres": {
                "postgres_db": {
                    "username": variable["user"],
                    "password": variable["password"],
                    "hostname": variable["host"],
                    "port": variable["port"],
                    "db_name": variable["db"],
                }
            }
        },
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
        # As in charts/platform/values.yaml, but for how soon a run is given up; tests/charts holds them together.
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 120,
            "cancel_timeout_seconds": 180,
            "max_runtime_seconds": 86400,
            "max_resume_run_attempts": 0,
            "poll_interval_seconds": 10,
            "free_slots_after_run_end_seconds": 15,
        },
        "run_retries": {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False},
        # One at a time in each pool: Feast's registry has one writer.
        "concurrency": {"pools": {"default_limit": 1}, "runs": {"max_concurrent_runs": MAX_CONCURRENT_RUNS}},
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 2},
        "retention": {
            "sensor": {"purge_after_days": TICKS_KEPT},
            "schedule": {"purge_after_days": 30},
            "auto_materialize": {"purge_after_days": TICKS_KEPT},
        },
        "telemetry": {"enabled": False},
        # The pop-up that asks for an address on the first visit.
        "nux": {"enabled": False},
    }


def _workspace(project: Project, settings: Settings) -> dict[str, Any]:
    servers = [
        {"grpc_server": {"host": "127.0.0.1", "port": settings.ports[name], "location_name": name}}
        for name in project.locations
    ]
    return {"load_from": servers}
