"""A location of each kind is added to a running release, runs its asset, and goes while a run of another is alive.

In a copy of the checkout, deployed onto the same cluster by the one command: `make cluster`. Of what runs, webserver
and daemon start again, since the official chart has the list of locations in their pods; nothing else does.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.checkout import changes, copy_checkout, terrane
from tests.cluster.platform import RUN, launch_ping, seconds_to_success, until

from terrane_cli.locations.making import KEYS
from terrane_cli.locations.words import Kind
from terrane_cli.project import Project

if TYPE_CHECKING:
    from tests.cluster.platform import Cluster

pytestmark = pytest.mark.cluster

NAMES = {Kind.PLAIN: "atlas", Kind.DBT: "ledgers", Kind.SPATIAL: "shores", Kind.FEATURES: "traits"}
RUN_LIMIT_S = 180
# What each kind's asset is made of, in the order in which a person would ask for it.
SELECTED = {
    Kind.PLAIN: [["exports", "{name}_numbers"]],
    Kind.DBT: [["{name}", "days"]],
    Kind.FEATURES: [["{name}", "numbers"], ["feast", "{name}_registry"], ["online", "{name}_numbers"]],
}
LAUNCH = """
mutation ($location: String!, $assets: [AssetKeyInput!]) { launchRun(executionParams: {selector: {
    repositoryLocationName: $location, repositoryName: "__repository__", jobName: "__ASSET_JOB",
    assetSelection: $assets}}) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
} }
"""
MATERIALISED = """query ($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) { assetMaterializations(limit: 1) {
  runId } } }"""
# Puts a batch of one polygon into the landing zone, from within the location's own pod.
DELIVER = """
import hashlib, json, sys
import obstore
from terrane.object_store import LANDING_ZONE, ObjectStoreResource
dataset, batch = sys.argv[1:]
ring = [[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]
shape = {"type": "Feature", "properties": {"name": "one"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
content = json.dumps({"type": "FeatureCollection", "features": [shape]}).encode()
key = f"batches/{batch}/features.geojson"
file = {"key": key, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
manifest = {"version": 1, "batch_id": batch, "dataset": dataset, "files": [file]}
bucket = ObjectStoreResource.from_process().bucket(LANDING_ZONE)
obstore.put(bucket, key, content)
obstore.put(bucket, f"manifests/{batch}.json", json.dumps(manifest).encode())
"""
# The official chart has the list of locations in the pods of these two.
RESTARTED = {"dagster-webserver", "dagster-daemon"}


def test_one_of_each_kind_comes_runs_its_asset_and_goes(cluster: Cluster, tmp_path: Path) -> None:
    copy = copy_checkout(cluster.project, tmp_path / "checkout")
    before = _others(cluster)
    for kind, name in NAMES.items():
        _run(copy, "location", name, "--kind", kind)
    _run(copy, "cluster", "up", "--once")
    assert _others(cluster) == before
    for kind, name in NAMES.items():
        _make_its_asset(cluster, kind, name)

    for name in NAMES.values():
        _run(copy, "location-remove", name)
    assert changes(copy.root, ignored=True) == set()
    alive = launch_ping(cluster, "spatial", seconds=240)
    until(lambda: cluster.dagster.query(RUN, run=alive)["runOrError"]["status"] == "STARTED", seconds=60)
    _run(copy, "cluster", "up", "--once")
    assert seconds_to_success(cluster, alive) > 240
    assert _others(cluster) == before
    for kind, name in NAMES.items():
        assert not cluster.pods(f"deployment={name}")
        assert not _materialised(cluster, _key(kind, name)), name


def _run(copy: Project, *words: str) -> None:
    done = terrane(copy, *words, TERRANE_CLUSTER=os.environ["TERRANE_CLUSTER"])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def _others(cluster: Cluster) -> dict[str, str]:
    """The pods that nothing is to touch, by name, with their ids."""
    names = set(NAMES.values())
    return {
        pod["metadata"]["name"]: pod["metadata"]["uid"]
        for pod in cluster.pods()
        if pod["metadata"]["labels"].get("deployment") not in names
        and pod["metadata"]["labels"].get("component") not in RESTARTED
    }


def _key(kind: Kind, name: str) -> list[str]:
    return [part.format(name=name) for part in KEYS[kind]]


def _make_its_asset(cluster: Cluster, kind: Kind, name: str) -> None:
    if kind is Kind.SPATIAL:
        batch = f"{name}-{time.time():.0f}"
        cluster.kubectl("exec", f"deploy/{name}", "--", "python", "-c", DELIVER, name, batch)
    else:
        assets = [{"path": [part.format(name=name) for part in key]} for key in SELECTED[kind]]
        launched = cluster.dagster.query(LAUNCH, location=name, assets=assets)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", json.dumps(launched)
        seconds_to_success(cluster, launched["run"]["runId"])
    until(lambda: bool(_materialised(cluster, _key(kind, name))), seconds=RUN_LIMIT_S)


def _materialised(cluster: Cluster, key: list[str]) -> list[Any]:
    """The asset's newest materialisation; nothing where the UI has no such asset."""
    nodes = cluster.dagster.query(MATERIALISED, keys=[{"path": key}])["assetNodes"]
    return nodes[0]["assetMaterializations"] if nodes else []
