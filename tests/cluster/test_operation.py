"""What those who run a platform do with it: ask it how it is, add a role, restart a store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.platform import helm, jobs_of, launch_ping, status_of, until

from terrane_cli.cluster.kubernetes import NAMESPACE, context
from terrane_cli.commands import CliError, run

if TYPE_CHECKING:
    from tests.cluster.platform import Cluster

pytestmark = pytest.mark.cluster

STORES = "app.kubernetes.io/component=store"
REPORTS = {"secret": "reports", "passwordKey": "password", "databases": {"reports": ["pg_trgm"]}}

# What no pod can have: a node, an image, a Secret.
NOWHERE: dict[str, dict[str, Any]] = {
    "node": {"pod_spec_config": {"node_selector": {"example.com/there": "never"}}},
    "image": {"container_config": {"image": "terrane/nowhere:never"}},
    "secret": {"container_config": {"env_from": [{"secret_ref": {"name": "nowhere"}}]}},
}


def test_helm_test_asks_the_ui_for_its_locations_and_the_feature_server_for_features(cluster: Cluster) -> None:
    said = helm("test", "terrane", "--logs")
    assert f"has loaded {', '.join(cluster.project.locations)}" in said
    assert "entries_total" in said


def test_pods_that_wait_for_what_never_comes_go_with_their_runs(cluster: Cluster) -> None:
    before = _values()
    _upgrade(cluster, before, "--set", "dagster.dagsterDaemon.runMonitoring.startTimeoutSeconds=20")
    try:
        runs = [launch_ping(cluster, "spatial", pod=pod) for pod in NOWHERE.values()]
        until(lambda: len(jobs_of(cluster, *runs)) == len(NOWHERE), seconds=60)
        until(lambda: [status_of(cluster, run) for run in runs] == ["FAILURE"] * len(NOWHERE), seconds=120)
        # Seen to be over within a minute, and given two minutes.
        until(lambda: jobs_of(cluster, *runs) == [], seconds=300)
    finally:
        _upgrade(cluster, before)


@pytest.fixture(scope="module")
def _reports(cluster: Cluster) -> Iterator[None]:
    """A password for a role, which goes with the role when these tests are done."""
    before = _values()
    password = {"stringData": {"password": "r"}, "metadata": {"name": "reports"}}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", **password})
    yield
    _upgrade(cluster, before)
    cluster.kubectl("delete", "secret", "reports")


@pytest.mark.usefixtures("_reports")
def test_a_role_is_added_to_a_server_that_nobody_restarts(cluster: Cluster) -> None:
    servers = _ids(cluster.pods(STORES))
    _upgrade(cluster, _with_role(REPORTS))
    assert _ids(cluster.pods(STORES)) == servers
    assert cluster.sql("reports", "select extname from pg_extension where extname = 'pg_trgm'") == [["pg_trgm"]]
    assert cluster.sql("reports", "select has_database_privilege('reports', 'dagster', 'connect')") == [["f"]]


@pytest.mark.usefixtures("_reports")
def test_a_mistake_in_a_role_fails_the_upgrade_in_words_and_no_server(cluster: Cluster) -> None:
    servers = _ids(cluster.pods(STORES))
    with pytest.raises(CliError, match="post-upgrade hooks failed"):
        _upgrade(cluster, _with_role({**REPORTS, "databases": {"reports": ["pg_trgn"]}}))
    try:
        assert 'extension "pg_trgn" is not available' in cluster.kubectl("logs", "job/terrane-postgres-provision")
        cluster.kubectl("delete", "pod", "terrane-postgres-0")
        cluster.kubectl("wait", "--for=condition=Ready", "pod/terrane-postgres-0", "--timeout=120s")
        assert cluster.sql("dagster", "select count(*) > 0 from runs") == [["t"]]
        assert len(_ids(cluster.pods(STORES)) & servers) == len(servers) - 1
        assert "is not available" in cluster.terrane("status").stdout
    finally:
        helm("rollback", "terrane", "--wait")
        # The Jobs that failed stay for whoever looks for the reason.
        cluster.kubectl("delete", "jobs", "--selector", "app.kubernetes.io/name=postgres")
    until(lambda: cluster.terrane("status").returncode == 0, seconds=120)


@pytest.mark.parametrize("store", ["redis", "minio", "postgres"])
def test_a_store_that_is_to_end_does_so_at_once(store: str, cluster: Cluster) -> None:
    began = time.monotonic()
    cluster.kubectl("delete", "pod", f"terrane-{store}-0")
    # Killed after the time it is given, which is a minute.
    assert time.monotonic() - began < 20
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/terrane-{store}-0", "--timeout=120s")
    until(lambda: cluster.terrane("status").returncode == 0, seconds=120)


def _ids(pods: list[dict[str, Any]]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def _values() -> dict[str, Any]:
    return json.loads(helm("get", "values", "terrane", "--output", "json"))


def _with_role(role: dict[str, Any]) -> dict[str, Any]:
    values = _values()
    values.setdefault("postgres", {}).setdefault("roles", {})["reports"] = role
    return values


def _upgrade(cluster: Cluster, values: dict[str, Any], *words: str) -> None:
    command = ["helm", "--kube-context", context(), "--namespace", NAMESPACE, "upgrade", "terrane", cluster.chart]
    run([*command, "--values", "-", *words, "--wait", "--timeout", "5m"], stdin=json.dumps(values))
