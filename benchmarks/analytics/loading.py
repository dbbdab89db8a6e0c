"""What loading a dbt project of many models costs, and a location without one: time, memory, what the UI is told."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.analytics.builds import cpu_seconds
from benchmarks.analytics.generated import write_project
from benchmarks.report import ROOT

DEFINITIONS = "import importlib, sys; importlib.import_module(f'{sys.argv[1]}.definitions').defs().get_repository_def()"
PROJECT = "import sys; from pathlib import Path; from benchmarks.analytics.contender import ours; "
LOAD = f"{PROJECT}ours(Path(sys.argv[1])).get_repository_def()"
LIGHT = ("spatial", "features")


def measure(folder: Path, environment: Mapping[str, str], models: int, repeats: int) -> dict[str, float]:
    """Of a project that dbt parsed before, as in an image: medians."""
    project = write_project(folder / "loaded", models)
    ours = [sys.executable, "-c", LOAD, str(project)]
    cpu_seconds(ours, ROOT, environment)
    told = [_told(project, environment) for _ in range(repeats)]
    return {
        f"load_cpu_s_{models}_models": _median([cpu_seconds(ours, ROOT, environment) for _ in range(repeats)]),
        f"load_rss_mb_{models}_models": _median([each["rss_mb"] for each in told]),
        f"snapshot_mb_{models}_models": _median([each["compressed_mb"] for each in told]),
        f"snapshot_plain_mb_{models}_models": _median([each["plain_mb"] for each in told]),
    } | {f"load_cpu_s_{name}": _of_location(name, environment, repeats) for name in LIGHT}


def _told(project: Path, environment: Mapping[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.analytics.load_contender", str(project)]
    done = subprocess.run(command, cwd=ROOT, env=dict(environment), check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _of_location(name: str, environment: Mapping[str, str], repeats: int) -> float:
    python = ROOT / f"code_locations/{name}/.venv/bin/python"
    return _median([cpu_seconds([str(python), "-c", DEFINITIONS, name], ROOT, environment) for _ in range(repeats)])


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 2)
