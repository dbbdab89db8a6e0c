"""The platform on a kind cluster, as its tests and its benchmark use it."""

from __future__ import annotations

import inspect
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from terrane_cli.cluster import access
from terrane_cli.cluster.kubernetes import NAMESPACE, context, kubectl, kubectl_json
from terrane_cli.commands import CliError, run
from terrane_cli.dagster_api import DagsterApi
from terrane_cli.project import Project, program

UP_TIMEOUT_S = 3000
LAUNCH = """
mutation ($location: String!, $config: RunConfigData!, $tags: [ExecutionTag!]!) { launchRun(executionParams: {
    runConfigData: $config, executionMetadata: {tags: $tags},
    selector: {repositoryLocationName: $location, repositoryName: "__repository__", jobName: "ping"}}) {
  __typename ... on LaunchRunSuccess { run { runId } }
  ... on PythonError { message } ... on PipelineNotFoundError { message }
} }
"""
DESCRIPTION = (
    """query { assetNodeOrError(assetKey: {path: ["data_lake", "places"]}) { ... on AssetNode { description } } }"""
)
CANCEL = """
mutation ($run: String!) { terminateRun(runId: $run, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) { __typename } }
"""
RUN = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status creationTime endTime } } }"


@dataclass
class Cluster:
    """The platform on its cluster, and what `make cluster ONCE=1` printed."""

    project: Project
    output: str
    code: int
    seconds: float

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
        return access.ui()


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


def launch_ping(cluster: Cluster, location: str, seconds: float = 0, pod: dict[str, Any] | None = None) -> str:
    """Launches a run that stays for so long, and returns its id.

    Args:
        pod: what its tag `dagster-k8s/config` says.
    """
    config = {"ops": {"answer": {"config": {"seconds": seconds}}}}
    # A pod that cannot be had is not asked for again.
    own = {"dagster-k8s/config": json.dumps(pod), "dagster/max_retries": "0"} if pod else {}
    tags = [{"key": key, "value": value} for key, value in own.items()]
    launched = cluster.dagster.query(LAUNCH, location=location, config=config, tags=tags)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return launched["run"]["runId"]


def seconds_to_success(cluster: Cluster, run: str) -> float:
    """From the queue to success, by Dagster's own clock."""
    deadline = time.monotonic() + 120
    while (state := cluster.dagster.query(RUN, run=run)["runOrError"])["status"] not in {"SUCCESS", "FAILURE"}:
        assert time.monotonic() < deadline, state
        time.sleep(0.5)
    assert state["status"] == "SUCCESS"
    return state["endTime"] - state["creationTime"]


def status_of(cluster: Cluster, run: str) -> str:
    return cluster.dagster.query(RUN, run=run)["runOrError"]["status"]


def cancel(cluster: Cluster, run: str) -> None:
    """Says that the run is cancelled, whatever its pods do."""
    assert cluster.dagster.query(CANCEL, run=run)["terminateRun"]["__typename"] == "TerminateRunSuccess"


def jobs_of(cluster: Cluster, *runs: str) -> list[str]:
    """The Jobs of the runs and of their steps that have a pod."""
    found = cluster.objects("jobs", "--selector", f"dagster/run-id in ({','.join(runs)})")
    return sorted(job["metadata"]["name"] for job in found if job["status"].get("active"))


def ping(cluster: Cluster, location: str) -> float:
    """The seconds of a run that does nothing, from the queue to success."""
    return seconds_to_success(cluster, launch_ping(cluster, location))


def description_of_places(cluster: Cluster) -> str:
    """What the UI says of the asset of spatial's sample; nothing where it does not answer."""
    try:
        return cluster.dagster.query(DESCRIPTION)["assetNodeOrError"].get("description", "")
    except (CliError, OSError):
        return ""


@contextmanager
def skaffold_dev(project: Project) -> Iterator[None]:
    """`skaffold dev`, watching."""
    command = ["skaffold", "dev", "--cleanup=false", "--kube-context", context(), "--namespace", NAMESPACE]
    with subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as skaffold:
        assert skaffold.stdout is not None
        for line in skaffold.stdout:
            if "Watching for changes" in line:
                break
        # A pipe that nobody reads would stop it.
        threading.Thread(target=skaffold.stdout.read, daemon=True).start()
        try:
            yield
        finally:
            skaffold.terminate()
