"""A kind cluster of these tests' own, with the platform on it and the demo told: made once, deleted at the end.

`TERRANE_CLUSTER` names another cluster to make and delete; `TERRANE_KEEP_CLUSTER=1` leaves it for a look.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TERRANE_CLUSTER", "terrane-test")

from terrane_cli.cluster import preflight, story
from terrane_cli.cluster.commands import NAMESPACE, kubectl, kubectl_json
from terrane_cli.dagster_api import DagsterApi
from terrane_cli.project import Project, program

UP_TIMEOUT_S = 3000


@dataclass
class Cluster:
    """The platform on its cluster, and what `make cluster ONCE=1` printed."""

    project: Project
    output: str
    code: int
    seconds: float
    figures: dict[str, float] = field(default_factory=dict)

    def terrane(self, *words: str, timeout: float = UP_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
        command = [str(program(self.project.root, "terrane")), "cluster", *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, cwd=self.project.root
        )

    def kubectl(self, *words: str) -> str:
        return kubectl("--namespace", NAMESPACE, *words)

    def objects(self, kind: str, *words: str) -> list[dict[str, Any]]:
        return kubectl_json("--namespace", NAMESPACE, "get", kind, *words)["items"]

    def sql(self, database: str, query: str) -> list[list[str]]:
        """The rows of a query, as text, asked inside the server's own pod."""
        pod = "terrane-postgis-0" if database.startswith("spatial") else "terrane-postgres-0"
        psql = ["psql", "--username", "postgres", "--dbname", database, "--csv", "--tuples-only", "--command", query]
        return [line.split(",") for line in self.kubectl("exec", pod, "--", *psql).splitlines()]

    @property
    def dagster(self) -> DagsterApi:
        return story.ui()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    missing = [f"{f.name}: {f.detail}" for f in preflight.examine() if not f.good]
    if missing:
        pytest.fail("no cluster can be made here: " + "; ".join(missing))
    project = Project.here()
    made = Cluster(project, "", -1, 0)
    began = time.monotonic()
    done = made.terrane("up", "--once")
    made.output, made.code, made.seconds = done.stdout + done.stderr, done.returncode, time.monotonic() - began
    made.figures["cluster_to_table_s"] = round(made.seconds, 1)
    try:
        yield made
    finally:
        _write_figures(project, made.figures)
        if not os.environ.get("TERRANE_KEEP_CLUSTER"):
            made.terrane("down")


def _write_figures(project: Project, figures: dict[str, float]) -> None:
    file = project.root / "benchmarks/results/cluster.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    there = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(there | figures, indent=2, sort_keys=True) + "\n")


@pytest.fixture(scope="session")
def pictures(project: Project) -> Path:
    return project.root / "docs/images"
