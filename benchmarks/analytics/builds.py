"""What a dbt build costs through Dagster, ours and stock's, beside the same `dbt build` alone.

CPU seconds of all processes of the run, the warehouse's left out, each in processes of its own that begin cold, with
what dbt parsed before at hand for each of them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from benchmarks.analytics.generated import SOURCE, write_project
from benchmarks.report import ROOT, median_ratio, rounds
from terrane.postgres import PostgresResource
from terrane_dbt.dbt_project.profiles import profiles_folder

KINDS = ("ours", "stock")
DBT = Path(sys.executable).parent / "dbt"


@dataclass(frozen=True)
class Place:
    """Where the contenders build: each has a copy of the project, all have one warehouse and one instance."""

    folder: Path
    environment: Mapping[str, str]


def place(folder: Path, warehouse: PostgresResource, variables: Mapping[str, str]) -> Place:
    """A warehouse with the source's table, and an instance that keeps its runs in the same server."""
    with warehouse.connect(autocommit=True) as connection:
        connection.execute(SOURCE.encode())
    home = folder / "home"
    home.mkdir(parents=True)
    storage = {
        "hostname": warehouse.host,
        "port": int(warehouse.port),
        "username": {"env": "WAREHOUSE_USER"},
        "password": {"env": "WAREHOUSE_PASSWORD"},
        "db_name": warehouse.database,
    }
    instance = {"storage": {"postgres": {"postgres_db": storage}}, "telemetry": {"enabled": False}}
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    environment = os.environ | variables | {"DAGSTER_HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment.pop("DBT_PROFILES_DIR", None)
    return Place(folder, environment)


def compare(at: Place, models: int, repeats: int) -> dict[str, list[float]]:
    """CPU seconds of each contender's builds of a project of that many models, in order of rounds."""
    contenders: dict[str, Callable[[], float]] = {}
    for kind in ("alone", *KINDS):
        project = write_project(at.folder / kind, models)
        _prepare(at, project)
        contenders[kind] = partial(_alone if kind == "alone" else _through_dagster, at, project)
    return rounds(repeats, contenders)


def _alone(at: Place, project: Path) -> float:
    command = [str(DBT), "build", "--profiles-dir", str(profiles_folder(project)), "--no-use-colors"]
    return cpu_seconds(command, project, at.environment)


def _through_dagster(at: Place, project: Path) -> float:
    """Of the run's process and those that it starts; making the run and its plan is left to whoever asks for it."""
    command = [sys.executable, "-m", "benchmarks.analytics.contender", project.name, str(project)]
    made = subprocess.run(command, cwd=project, env=dict(at.environment), check=True, capture_output=True, text=True)
    return cpu_seconds([*command, made.stdout.split()[-1]], project, at.environment)


def _prepare(at: Place, project: Path) -> None:
    """dbt's own parse, from which each contender's builds begin."""
    command = [str(DBT), "parse", "--profiles-dir", str(profiles_folder(project))]
    cpu_seconds(command, project, at.environment)


def cpu_seconds(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> float:
    """User and system time of the command and of every process that it started and waited for.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said.read()[-3000:]}")
    return used.ru_utime + used.ru_stime


def figures(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {
        "dbt_vs_build_cpu": round(median_ratio(seconds["ours"], seconds["alone"]), 3),
        "stock_vs_build_cpu": round(median_ratio(seconds["stock"], seconds["alone"]), 3),
        "dbt_build_cpu_s": round(statistics.median(seconds["alone"]), 2),
    }
