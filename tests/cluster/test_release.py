"""What changes on a running platform: a file, the profile, and its end; in this order, for the last leaves nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.platform import (
    cancel,
    description_of_places,
    helm,
    jobs_of,
    launch_ping,
    ping,
    seconds_to_success,
    skaffold_dev,
    status_of,
    until,
    upgrade_location,
)

from terrane_cli.cluster.kubernetes import CLUSTER
from terrane_cli.commands import run

if TYPE_CHECKING:
    from tests.cluster.platform import Cluster

pytestmark = pytest.mark.cluster

STORES = "app.kubernetes.io/component=store"
# The one that comes with Celery.
BROKER = "terrane-broker-0"
# Passwords are in the stores' data as well, which stays.
KEPT = {"helm.sh/resource-policy": "keep"}
# What Kubernetes itself puts into a namespace.
ITS_OWN = {"kube-root-ca.crt", "default"}


def test_a_changed_file_is_in_the_ui_within_seconds_and_in_runs_and_without_a_build(cluster: Cluster) -> None:
    folder = cluster.project.location_folder("spatial") / "src/spatial"
    yaml, python = folder / "defs/places/defs.yaml", folder / "definitions.py"
    before = {file: file.read_text() for file in (yaml, python)}
    images = _images(cluster)
    with skaffold_dev(cluster.project):
        try:
            began = time.monotonic()
            yaml.write_text(before[yaml].replace("Populated places of the world", "Towns of the world"))
            until(lambda: "Towns" in description_of_places(cluster), seconds=60)
            assert time.monotonic() - began < 30
            python.write_text(f"{before[python]}\nprint('as changed')\n")
            until(lambda: "as changed" in _log_of_a_run(cluster, "spatial"), seconds=60)
            assert _images(cluster) == images
        finally:
            for file, text in before.items():
                file.write_text(text)
            until(lambda: "Populated" in description_of_places(cluster), seconds=60)


def test_upgrading_one_location_loses_no_run_and_touches_no_other_pod(cluster: Cluster) -> None:
    others, image = cluster.pods("deployment!=spatial"), cluster.image_of("spatial")
    newer = f"{image.rsplit(':', 1)[0]}:newer"
    run(["docker", "tag", image, newer])
    run(["kind", "load", "docker-image", newer, "--name", CLUSTER])
    under_way = launch_ping(cluster, "spatial", seconds=45)
    until(lambda: status_of(cluster, under_way) == "STARTED", seconds=30)
    upgrade_location(cluster, "spatial", "newer", "--wait", "--timeout", "3m")
    assert status_of(cluster, under_way) == "STARTED"
    assert cluster.image_of("spatial").endswith(":newer")
    assert _ids(cluster.pods("deployment!=spatial")) == _ids(others)
    assert seconds_to_success(cluster, under_way) > 45
    assert ping(cluster, "spatial") < 60


def test_the_celery_profile_takes_a_runs_steps_through_its_queue(cluster: Cluster) -> None:
    stores = cluster.pods(STORES)
    done = cluster.terrane("up", "--once", "--profile", "celery")
    assert done.returncode == 0, done.stdout[-6000:]
    assert _ids(pod for pod in cluster.pods(STORES) if pod["metadata"]["name"] != BROKER) == _ids(stores)
    assert ping(cluster, "spatial") < 120
    assert _step_pods(cluster)


def test_the_steps_of_a_cancelled_run_go_as_well_with_celery(cluster: Cluster) -> None:
    cancelled = launch_ping(cluster, "spatial", seconds=1800)
    until(lambda: len(jobs_of(cluster, cancelled)) == 2, seconds=120)
    cancel(cluster, cancelled)
    # Seen to be over within a minute, and given two minutes.
    until(lambda: jobs_of(cluster, cancelled) == [], seconds=300)


def test_celerys_workers_take_steps_again_after_their_broker_was_away(cluster: Cluster) -> None:
    before = _step_pods(cluster)
    cluster.kubectl("delete", "pod", BROKER)
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{BROKER}", "--timeout=120s")
    assert ping(cluster, "spatial") < 120
    assert _step_pods(cluster) > before


def test_uninstalling_leaves_the_volumes_the_passwords_and_nothing_else(cluster: Cluster) -> None:
    helm("uninstall", "terrane", "--wait")
    kinds = "deployments,statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,ingresses"
    objects = [o for o in cluster.objects(kinds) if o["metadata"]["name"] not in ITS_OWN]
    kept = {o["metadata"]["name"] for o in objects if KEPT.items() <= o["metadata"].get("annotations", {}).items()}
    assert {o["kind"] for o in objects if o["metadata"]["name"] in kept} == {"Secret"}
    left = {o["metadata"]["name"] for o in objects} - kept
    assert {name for name in left if not name.startswith("sh.helm.release")} == set()
    claims = {o["metadata"]["name"] for o in cluster.objects("persistentvolumeclaims")}
    stores = {f"data-terrane-{store}-0" for store in ("broker", "minio", "postgis", "postgres", "redis")}
    assert claims == stores | {f"terrane-source-of-{location}" for location in cluster.project.locations}


def _log_of_a_run(cluster: Cluster, location: str) -> str:
    run_id = launch_ping(cluster, location)
    seconds_to_success(cluster, run_id)
    return cluster.kubectl("logs", f"job/dagster-run-{run_id}")


def _ids(pods: Iterable[dict[str, Any]]) -> set[str]:
    """What a pod has, and a new one of the same name has not."""
    return {pod["metadata"]["uid"] for pod in pods}


def _step_pods(cluster: Cluster) -> set[str]:
    return {j["metadata"]["name"] for j in cluster.objects("jobs") if "dagster-step" in j["metadata"]["name"]}


def _images(cluster: Cluster) -> set[str]:
    return {p["spec"]["containers"][0]["image"] for p in cluster.objects("pods", "--selector", "deployment")}
