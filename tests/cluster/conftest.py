"""A kind cluster of these tests' own, with the platform on it and the demo told: made once, deleted at the end.

`TERRANE_CLUSTER` names another cluster to make and delete; `TERRANE_KEEP_CLUSTER=1` leaves it for a look.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TERRANE_CLUSTER", "terrane-test")

from terrane_cli.cluster import preflight, story
from terrane_cli.cluster.commands import NAMESPACE, context, kubectl, kubectl_json, run
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

    def pods(self, *selectors: str) -> list[dict[str, Any]]:
        """The platform's pods that are not about to go, those of runs and hooks left out."""
        found = self.objects("pods", "--selector", ",".join(["!job-name", *selectors]))
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def sql(self, database: str, query: str) -> list[list[str]]:
        """The rows of a query, as text, asked inside the server's own pod."""
        pod = "terrane-postgis-0" if database.startswith("spatial") else "terrane-postgres-0"
        psql = ["psql", "--username", "postgres", "--dbname", database, "--csv", "--tuples-only", "--command", query]
        return [line.split(",") for line in self.kubectl("exec", pod, "--", *psql).splitlines()]

    @property
    def chart(self) -> str:
        return str(self.project.root / "charts/platform")

    def image_of(self, deployment: str) -> str:
        """The image of a location, or of the daemon."""
        pods = self.objects(
            "pods", "--selector", f"deployment={deployment}", "--field-selector", "status.phase=Running"
        )
        return pods[0]["spec"]["containers"][0]["image"]

    def apply(self, made: dict[str, Any]) -> None:
        kubectl("--namespace", NAMESPACE, "apply", "--filename", "-", stdin=json.dumps(made))

    @property
    def dagster(self) -> DagsterApi:
        return story.ui()


def helm(*words: str) -> str:
    return run(["helm", "--kube-context", context(), "--namespace", NAMESPACE, *words], timeout=600)


def upgrade_location(cluster: Cluster, name: str, tag: str, *words: str) -> None:
    """`helm upgrade` with another tag for one location, and all other values as they are."""
    values = json.loads(helm("get", "values", "terrane", "--output", "json"))
    (entry,) = [d for d in values["dagster"]["dagster-user-deployments"]["deployments"] if d["name"] == name]
    entry["image"]["tag"] = tag
    # Its files on the volume of development are the image's as well.
    (source,) = [d for d in values["development"]["sharedSource"] if d["location"] == name]
    source["image"] = f"{entry['image']['repository']}:{tag}"
    source["folder"] = entry["volumeMounts"][-1]["subPath"] = tag
    command = ["helm", "--kube-context", context(), "--namespace", NAMESPACE, "upgrade", "terrane", cluster.chart]
    run([*command, "--values", "-", *words], stdin=json.dumps(values))


def until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {inspect.getsource(holds).strip()}"
        time.sleep(0.3)


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
