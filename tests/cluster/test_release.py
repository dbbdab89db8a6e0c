"""What changes on a running platform: a file, the profile, and its end; in this order, for the last leaves nothing."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.cluster.test_platform import ping

from terrane_cli.cluster.commands import NAMESPACE, context, run

if TYPE_CHECKING:
    from tests.cluster.conftest import Cluster

pytestmark = pytest.mark.cluster

CHART = "charts/platform"
DESCRIPTION = (
    """query { assetNodeOrError(assetKey: {path: ["data_lake", "places"]}) { ... on AssetNode { description } } }"""
)
# What Kubernetes itself puts into a namespace.
ITS_OWN = {"kube-root-ca.crt", "default"}


def test_a_changed_file_is_in_the_ui_within_seconds_and_without_a_build(cluster: Cluster) -> None:
    file = cluster.project.location_folder("spatial") / "src/spatial/defs/places/defs.yaml"
    before = file.read_text()
    command = ["skaffold", "dev", "--cleanup=false", "--label", "skaffold.dev/run-id=terrane"]
    with subprocess.Popen(
        [*command, "--kube-context", context(), "--namespace", NAMESPACE],
        cwd=cluster.project.root,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as skaffold:
        try:
            assert skaffold.stdout is not None
            for line in skaffold.stdout:
                if "Watching for changes" in line:
                    break
            images = _images(cluster)
            began = time.monotonic()
            file.write_text(before.replace("Populated places of the world", "Towns of the world"))
            _until(lambda: "Towns" in _description(cluster), seconds=60)
            cluster.figures["code_change_to_reload_s"] = round(time.monotonic() - began, 2)
            assert _images(cluster) == images
        finally:
            file.write_text(before)
            _until(lambda: "Populated" in _description(cluster), seconds=60)
            skaffold.terminate()


def test_the_celery_profile_runs_a_job_through_its_queue(cluster: Cluster) -> None:
    helm = ["helm", "--kube-context", context(), "--namespace", NAMESPACE]
    upgrade = [*helm, "upgrade", "terrane", CHART, "--reuse-values", "--values", f"{CHART}/values/celery.yaml"]
    # Workers run the platform's image, whose tag here is of its content.
    repository, tag = _image_of_daemon(cluster).rsplit(":", 1)
    image = "dagster.runLauncher.config.celeryK8sRunLauncher.image"
    images = ["--set", f"{image}.repository={repository}", "--set-string", f"{image}.tag={tag}"]
    run([*upgrade, *images, "--wait", "--timeout", "8m"], timeout=600)
    cluster.kubectl("rollout", "restart", "deployment", "--selector", "deployment")
    cluster.kubectl("rollout", "status", "deployment", "--selector", "deployment", "--timeout", "300s")
    _until(lambda: cluster.dagster.load_errors() == {} and _asks_its_database(cluster), seconds=180)
    workers = cluster.objects("pods", "--selector", "component=celery")
    assert ping(cluster, "spatial") < 120
    steps = [j for j in cluster.objects("jobs") if "dagster-step" in j["metadata"]["name"]]
    assert steps
    assert workers or steps


def test_uninstalling_leaves_the_volumes_and_nothing_else(cluster: Cluster) -> None:
    run(["helm", "--kube-context", context(), "--namespace", NAMESPACE, "uninstall", "terrane", "--wait"])
    kinds = "deployments,statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,ingresses"
    left = {o["metadata"]["name"] for o in cluster.objects(kinds)} - ITS_OWN
    assert {name for name in left if not name.startswith("sh.helm.release")} == set()
    assert len(cluster.objects("persistentvolumeclaims")) == 4


def _description(cluster: Cluster) -> str:
    try:
        return cluster.dagster.query(DESCRIPTION)["assetNodeOrError"].get("description", "")
    except (RuntimeError, OSError):
        return ""


def _asks_its_database(cluster: Cluster) -> bool:
    """Whether the webserver reaches Postgres, whose restart leaves it with a closed connection to ask first."""
    try:
        return cluster.dagster.is_idle()
    except httpx.HTTPError:
        return False


def _image_of_daemon(cluster: Cluster) -> str:
    return cluster.objects("pods", "--selector", "deployment=daemon")[0]["spec"]["containers"][0]["image"]


def _images(cluster: Cluster) -> set[str]:
    return {p["spec"]["containers"][0]["image"] for p in cluster.objects("pods", "--selector", "deployment")}


def _until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)
