"""What those who run a platform do with it: ask it how it is, add a role, restart a store."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.platform import helm

from terrane_cli.cluster.commands import ClusterError, context, run

if TYPE_CHECKING:
    from tests.cluster.platform import Cluster

pytestmark = pytest.mark.cluster

STORES = "app.kubernetes.io/component=store"
REPORTS = {"secret": "reports", "passwordKey": "password", "databases": {"reports": ["pg_trgm"]}}


def test_helm_test_asks_the_ui_for_its_locations_and_the_feature_server_for_features(cluster: Cluster) -> None:
    said = helm("test", "terrane", "--logs")
    assert f"has loaded {', '.join(cluster.project.locations)}" in said
    assert "entries_total" in said


def test_a_role_is_added_to_a_server_that_nobody_restarts(cluster: Cluster) -> None:
    cluster.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "reports"}, "stringData": {"password": "r"}}
    )
    servers = _ids(cluster.pods(STORES))
    _upgrade(cluster, REPORTS)
    assert _ids(cluster.pods(STORES)) == servers
    assert cluster.sql("reports", "select extname from pg_extension where extname = 'pg_trgm'") == [["pg_trgm"]]
    assert cluster.sql("reports", "select has_database_privilege('reports', 'dagster', 'connect')") == [["f"]]


def test_a_mistake_in_a_role_fails_the_upgrade_in_words_and_no_server(cluster: Cluster) -> None:
    servers = _ids(cluster.pods(STORES))
    with pytest.raises(ClusterError, match="post-upgrade hooks failed"):
        _upgrade(cluster, {**REPORTS, "databases": {"reports": ["pg_trgn"]}})
    try:
        assert 'extension "pg_trgn" is not available' in cluster.kubectl("logs", "job/terrane-postgres-provision")
        cluster.kubectl("delete", "pod", "terrane-postgres-0")
        cluster.kubectl("wait", "--for=condition=Ready", "pod/terrane-postgres-0", "--timeout=120s")
        assert cluster.sql("dagster", "select count(*) > 0 from runs") == [["t"]]
        assert len(_ids(cluster.pods(STORES)) & servers) == len(servers) - 1
    finally:
        helm("rollback", "terrane", "--wait")


@pytest.mark.parametrize("store", ["redis", "minio", "postgres"])
def test_a_store_that_is_to_end_does_so_at_once(store: str, cluster: Cluster) -> None:
    began = time.monotonic()
    cluster.kubectl("delete", "pod", f"terrane-{store}-0")
    # Killed after the time it is given, which is a minute.
    assert time.monotonic() - began < 20
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/terrane-{store}-0", "--timeout=120s")


def _ids(pods: list[dict[str, Any]]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def _upgrade(cluster: Cluster, role: dict[str, Any]) -> None:
    values = json.loads(helm("get", "values", "terrane", "--output", "json"))
    values.setdefault("postgres", {}).setdefault("roles", {})["reports"] = role
    command = ["helm", "--kube-context", context(), "--namespace", "terrane", "upgrade", "terrane", cluster.chart]
    run([*command, "--values", "-", "--wait", "--timeout", "5m"], stdin=json.dumps(values))
