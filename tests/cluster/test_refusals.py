"""What cannot work on a cluster is named to the person who looks, and what worked before goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from obstore.exceptions import BaseError
from tests.cluster.platform import helm, ping, until, upgrade_location

from terrane.object_store import DATA_LAKE, LANDING_ZONE
from terrane.object_store.buckets import ensure_buckets
from terrane.publishing import list_commits
from terrane_cli.cluster import access
from terrane_cli.cluster.kubernetes import CLUSTER
from terrane_cli.commands import run
from terrane_cli.demo import sample

if TYPE_CHECKING:
    from tests.cluster.platform import Cluster

pytestmark = pytest.mark.cluster

SMALL = "small-minio"
DEFINITIONS = "/opt/terrane/code_locations/spatial/src/spatial/definitions.py"
LAUNCH_ASSET = """
mutation ($location: String!, $path: [String!]!, $tags: [ExecutionTag!]!) { launchRun(executionParams: {
    selector: {repositoryLocationName: $location, repositoryName: "__repository__", jobName: "__ASSET_JOB",
               assetSelection: [{path: $path}]},
    executionMetadata: {tags: $tags}}) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
BATCHES = """query {
  assetNodeOrError(assetKey: {path: ["data_lake", "places"]}) { ... on AssetNode { partitionKeys } } }"""
STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


def test_an_image_that_cannot_be_imported_is_named_and_the_old_one_goes_on(cluster: Cluster) -> None:
    others = _others(cluster)
    image = cluster.image_of("spatial")
    broken = f"{image.rsplit(':', 1)[0]}:broken"
    recipe = f"FROM {image}\nUSER root\nRUN echo 'import a_library_nobody_installed' >> {DEFINITIONS}\nUSER 1000\n"
    run(["docker", "build", "--quiet", "--tag", broken, "-"], stdin=recipe)
    run(["kind", "load", "docker-image", broken, "--name", CLUSTER])
    try:
        upgrade_location(cluster, "spatial", "broken")
        until(lambda: "No module named 'a_library_nobody_installed'" in _status(cluster), seconds=120)
        assert cluster.dagster.load_errors() == {}
        assert ping(cluster, "spatial") < 60
    finally:
        helm("rollback", "terrane", "--wait")
    until(lambda: cluster.terrane("status").returncode == 0, seconds=120)
    assert _others(cluster) == others


def test_a_secret_that_is_missing_is_named(cluster: Cluster) -> None:
    with _without_secret(cluster, "terrane-source"):
        cluster.kubectl("rollout", "restart", "deployment/terrane-dagster-user-deployments-analytics")
        until(lambda: 'secret "terrane-source" not found' in _status(cluster), seconds=60)
        assert "CreateContainerConfigError" in _status(cluster)
        assert cluster.dagster.load_errors() == {}
    until(lambda: cluster.terrane("status").returncode == 0, seconds=120)


def test_a_full_disk_of_the_object_store_is_named_and_room_is_enough_to_go_on(cluster: Cluster) -> None:
    with _small_store(cluster):
        fillers = _fill(cluster)
        context = {"container_config": {"env": [{"name": "MINIO_ENDPOINT", "value": f"{SMALL}:9000"}]}}
        # Its steps are tried again three times, after 15, 30 and 60 s.
        tags = {"dagster-k8s/config": json.dumps(context), "dagster/partition": _batch(cluster)}
        failed = _materialize(cluster, "data_lake/places", tags)
        assert _end_of(cluster, failed) == "FAILURE"
        assert f"The object store at http://{SMALL}:9000 is full" in cluster.dagster.failure(failed)[1]
        assert _published() == 0
        with access.object_store(SMALL) as store:
            obstore.delete(store.bucket(LANDING_ZONE), fillers)
        assert _end_of(cluster, cluster.dagster.re_execute(failed)) == "SUCCESS"
        assert _published() == 1


def _status(cluster: Cluster) -> str:
    return cluster.terrane("status").stdout


def _others(cluster: Cluster) -> set[str]:
    """One id a pod of the platform, those of spatial left out."""
    return {pod["metadata"]["uid"] for pod in cluster.pods("deployment!=spatial")}


@contextmanager
def _without_secret(cluster: Cluster, name: str) -> Iterator[None]:
    secret = cluster.kubectl("get", "secret", name, "--output", "json")
    cluster.kubectl("delete", "secret", name)
    try:
        yield
    finally:
        kept = json.loads(secret)
        del kept["metadata"]["resourceVersion"], kept["metadata"]["uid"]
        cluster.apply(kept)


@contextmanager
def _small_store(cluster: Cluster) -> Iterator[None]:
    """A MinIO of its own with 64 MiB of disk and the platform's passwords."""
    running = cluster.pods("app.kubernetes.io/name=minio")[0]["spec"]["containers"][0]["image"]
    repository, version = running.rsplit(":", 1)
    settings = {
        "image.repository": repository.removeprefix("docker.io/"),
        "image.tag": version,
        "fullnameOverride": SMALL,
        "auth.existingSecret": "terrane-s3",
        "auth.userKey": "MINIO_ROOT_USER",
        "auth.passwordKey": "MINIO_ROOT_PASSWORD",
        "persistence.enabled": "false",
        "persistence.emptyDir.medium": "Memory",
        "persistence.emptyDir.sizeLimit": "64Mi",
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    helm("install", "small", str(cluster.project.root / "charts/minio"), *words, "--wait", "--timeout", "120s")
    try:
        yield
    finally:
        helm("uninstall", "small", "--wait")


def _fill(cluster: Cluster) -> list[str]:
    """Delivers the sample batch, then puts objects until no more is taken; returns their keys."""
    with access.object_store(SMALL) as store:
        ensure_buckets(store)
        bucket, keys = store.bucket(LANDING_ZONE), []
        sample.deliver(bucket, cluster.project.root / "samples/natural_earth")
        for size in (1 << 20, 1 << 16, 1 << 16, 1 << 13):
            for _ in range(256):
                try:
                    obstore.put(bucket, f"filler/{len(keys)}", bytes(size))
                except BaseError:
                    break
                keys.append(f"filler/{len(keys)}")
            # What was begun and not finished is removed a moment later, and leaves room.
            time.sleep(5)
    return keys


def _published() -> int:
    # Each time by a way of its own: one is lost with the first connection that the server breaks off.
    with access.object_store(SMALL) as store:
        return len(list_commits(store.bucket(DATA_LAKE), "places"))


def _batch(cluster: Cluster) -> str:
    """A batch that the ledger knows, as it is one of the asset's partitions."""
    return cluster.dagster.query(BATCHES)["assetNodeOrError"]["partitionKeys"][0]


def _materialize(cluster: Cluster, key: str, tags: dict[str, str]) -> str:
    given = [{"key": name, "value": value} for name, value in tags.items()]
    answer = cluster.dagster.query(LAUNCH_ASSET, location="spatial", path=key.split("/"), tags=given)["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return answer["run"]["runId"]


def _end_of(cluster: Cluster, run_id: str) -> str:
    def status() -> Any:
        return cluster.dagster.query(STATUS, run=run_id)["runOrError"]["status"]

    until(lambda: status() in ENDED, seconds=360)
    return status()
