"""The demo, run once for all of these tests, in a folder that goes with them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import httpx
import psycopg
import pytest
from obstore.store import LocalStore

from terrane_cli.dagster_api import DagsterApi
from terrane_cli.laptop.settings import Settings
from terrane_cli.project import Project, program
from terrane_dev.testing import temporary_server_folder

DEMO_TIMEOUT_S = 600
AT_WORK = """query { runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {
  ... on Runs { results { runId status jobName assetSelection { path }
    eventConnection { events { ... on MessageEvent { message } } } } } } }"""
SESSIONS = """select pid, usename, application_name, state, wait_event, now() - state_change, pg_blocking_pids(pid),
  left(query, 200) from pg_stat_activity where datname = current_database()"""


@dataclass
class Demo:
    """The platform that `make demo ONCE=1` leaves running, and what the command printed."""

    project: Project
    variables: dict[str, str] = field(repr=False)
    settings: Settings = field(repr=False)
    output: str
    code: int
    seconds: float

    def terrane(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs the command on this platform. One that does not end fails with what the platform was at meanwhile."""
        try:
            return terrane(self.project, self.variables, *words)
        except subprocess.TimeoutExpired as stuck:
            pytest.fail(f"{stuck}\n{self.told_at_work()}")

    def told_at_work(self) -> str:
        """The last events of the runs that have not ended, and what every session of the databases waits for."""
        lines = []
        for run in self.dagster.query(AT_WORK)["runsOrError"]["results"]:
            lines.append(f"{run['status']} {run['runId']} {run['jobName']} {run['assetSelection']}")
            lines += [f"  {e.get('message')}" for e in run["eventConnection"]["events"][-20:]]
        for role, database in (("warehouse", "warehouse"), ("spatial", "spatial_etl")):
            lines += [str(row) for row in self.sql(role, database, SESSIONS)]
        return "\n".join(lines)

    def sql(self, role: str, database: str, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host="127.0.0.1",
            port=self.settings.ports["postgres"],
            user=role,
            password=self.settings.passwords[role],
            dbname=database,
        ) as connection:
            return connection.execute(query.encode()).fetchall()

    def bucket(self, name: str) -> LocalStore:
        return LocalStore(prefix=self.project.state / "objects" / name)

    def online(self, users: list[int]) -> dict[str, list[Any]]:
        """What the feature server answers, by feature."""
        body = {"feature_service": "analyzer", "entities": {"user_id": users}}
        answer = httpx.post(f"{self.settings.url('feature-server')}/get-online-features", json=body, timeout=30)
        answer.raise_for_status()
        content = answer.json()
        return dict(zip(content["metadata"]["feature_names"], (r["values"] for r in content["results"]), strict=True))

    @property
    def dagster(self) -> DagsterApi:
        return DagsterApi(self.settings.url("webserver"))

    @property
    def complete_days(self) -> int:
        return (datetime.now(UTC).date() - date.fromisoformat(self.settings.first_day)).days


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    with platform_of_its_own("demo") as project:
        began = time.monotonic()
        done = terrane(project, os.environ, "demo", "--once")
        seconds = time.monotonic() - began
        settings = Settings.load(project)
        demo = Demo(project, dict(os.environ), settings, done.stdout + done.stderr, done.returncode, seconds)
        yield demo


def terrane(project: Project, variables: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with these variables, one of which says where its state is."""
    command = [str(program(project.root, "terrane")), *words]
    return subprocess.run(
        command, env=dict(variables), capture_output=True, text=True, timeout=DEMO_TIMEOUT_S, check=False
    )


@contextmanager
def platform_of_its_own(name: str) -> Iterator[Project]:
    """The checkout with its state in a temporary folder; stops whatever was started there."""
    with temporary_server_folder(name) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERRANE_STATE", str(folder / "state"))
        # The servers' own account must pass through it.
        folder.chmod(0o755)
        project = Project.here()
        try:
            yield project
        finally:
            subprocess.run([program(project.root, "terrane"), "down"], capture_output=True, check=False)


@pytest.fixture(scope="session")
def generator() -> Any:
    """The sample source's own account of its data."""
    sys.path.insert(0, str(Project.here().root / "samples"))
    from source_api import generator

    return generator
