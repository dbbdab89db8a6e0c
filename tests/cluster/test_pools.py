"""A pool of one holds nobody up for ever: a run that died, or was cancelled, gives its place back a moment later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.platform import cancel, status_of, until

from terrane_cli.cluster.access import FEATURE_SERVER
from terrane_cli.cluster.kubernetes import NAMESPACE, kubectl

if TYPE_CHECKING:
    from tests.cluster.platform import Cluster

pytestmark = pytest.mark.cluster

LOCATION, POOL, JOB = "features", "feast", "stay_in_the_pool"
FILE = f"/opt/terrane/code_locations/{LOCATION}/src/{LOCATION}/defs/stay_in_the_pool.py"
# A run that is started again by itself does not stay.
DEFINITIONS = f"""
import time

import dagster as dg


@dg.op(pool="{POOL}", config_schema={{"seconds": int}})
def stay(context):
    if "dagster/retry_number" not in context.run.tags:
        time.sleep(context.op_config["seconds"])


@dg.job(executor_def=dg.in_process_executor)
def {JOB}():
    stay()
"""
LAUNCH = """
mutation ($job: String!, $location: String!, $config: RunConfigData!) { launchRun(executionParams: {
    runConfigData: $config,
    selector: {repositoryLocationName: $location, repositoryName: "__repository__", jobName: $job}}) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
RUNS = """
query ($tags: [ExecutionTag!]!) { runsOrError(filter: {tags: $tags}) { ... on Runs { results { runId status } } } }
"""
HOLDERS = "query ($pool: String!) { instance { concurrencyLimit(concurrencyKey: $pool) { activeRunIds } } }"
# The daemon looks every 15 s whether a run still has its pod, and frees its place 15 s after its end.
PATIENCE_S = 120


@pytest.fixture(scope="module", autouse=True)
def _job(cluster: Cluster) -> Iterator[None]:
    """A job whose one step takes the pool's only place, in the files that a code server and its runs share."""
    server = f"deployment/terrane-dagster-user-deployments-{LOCATION}"
    inside = ("--namespace", NAMESPACE, "exec", "--stdin", server, "--", "sh", "-c")
    kubectl(*inside, f"cat > {FILE}", stdin=DEFINITIONS)
    assert cluster.terrane("reload", LOCATION).returncode == 0
    yield
    kubectl(*inside, f"rm {FILE}")
    cluster.terrane("reload", LOCATION)
    # It started again for each of the two, and what comes next counts pods.
    kubectl("--namespace", NAMESPACE, "rollout", "status", FEATURE_SERVER, "--timeout", "120s")


def test_a_run_whose_pod_was_killed_frees_its_pool_and_is_run_again(cluster: Cluster) -> None:
    killed = _launch(cluster, seconds=900)
    until(lambda: _holders(cluster) == [killed], seconds=PATIENCE_S)
    gone = cluster.kubectl("delete", "pod", "--selector", f"dagster/run-id={killed}", "--force", "--grace-period=0")
    assert killed in gone
    until(lambda: _again(cluster, killed) == ["SUCCESS"], seconds=PATIENCE_S)
    assert status_of(cluster, killed) == "FAILURE"
    assert _holders(cluster) == []


def test_a_run_that_was_cancelled_on_paper_alone_holds_up_no_other(cluster: Cluster) -> None:
    cancelled = _launch(cluster, seconds=900)
    until(lambda: _holders(cluster) == [cancelled], seconds=PATIENCE_S)
    cancel(cluster, cancelled)
    after = _launch(cluster, seconds=0)
    until(lambda: status_of(cluster, after) == "SUCCESS", seconds=PATIENCE_S)
    assert status_of(cluster, cancelled) == "CANCELED"


def _launch(cluster: Cluster, seconds: int) -> str:
    config = {"ops": {"stay": {"config": {"seconds": seconds}}}}
    launched = cluster.dagster.query(LAUNCH, job=JOB, location=LOCATION, config=config)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return launched["run"]["runId"]


def _again(cluster: Cluster, run_id: str) -> list[str]:
    """The states of the runs that were started in place of this one."""
    tags = [{"key": "dagster/root_run_id", "value": run_id}]
    found: list[dict[str, Any]] = cluster.dagster.query(RUNS, tags=tags)["runsOrError"]["results"]
    return [run["status"] for run in found if run["runId"] != run_id]


def _holders(cluster: Cluster) -> list[str]:
    """The runs that have the pool's place."""
    return cluster.dagster.query(HOLDERS, pool=POOL)["instance"]["concurrencyLimit"]["activeRunIds"]
