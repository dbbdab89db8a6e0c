"""A location of each kind is added to a running release, runs its asset, and goes while a run of another is alive.

In a copy of the checkout, deployed onto the same cluster by the one command: `make cluster`. Of what runs, webserver
and daemon start again, since the official chart has the list of locations in their pods; nothing else does. What was
built before is found again: the copy's files are the same, so that images keep their names, which are their content's.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.checkout import changes, copy_checkout, terrane, variables
from tests.cluster.platform import cancel, helm, launch_ping, status_of, until

from terrane_cli.cluster.debugging import deployment_of
from terrane_cli.locations.making import KEYS
from terrane_cli.locations.words import Kind
from terrane_cli.project import Project

if TYPE_CHECKING:
    from tests.cluster.platform import Cluster

pytestmark = pytest.mark.cluster

NAMES = {Kind.PLAIN: "atlas", Kind.DBT: "ledgers", Kind.SPATIAL: "shores", Kind.FEATURES: "traits"}
# All four make their assets by themselves at the same time, on two processors.
RUN_LIMIT_S = 400
# Longer than any upgrade: the run is cancelled when it was seen to have outlived one.
ALIVE_S = 3600
# What says which cluster.
PASSED_ON = ("TERRANE_CLUSTER", "TERRANE_CLUSTER_PORTS")
# What a release is made of, and what a location could leave of it.
KINDS = "deployments,services,configmaps,secrets,persistentvolumeclaims,networkpolicies,serviceaccounts"
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
# Three assets, each of which returns a frame that the next one takes, in a run of its own.
CHAIN = """
import os

import dagster as dg


@dg.asset(key=["{name}", "first"])
def first():
    import pandas as pd

    return pd.DataFrame({{"number": [1, 2, 3], "pod": os.environ["HOSTNAME"]}})


@dg.asset(key=["{name}", "second"], ins={{"frame": dg.AssetIn(key=["{name}", "first"])}})
def second(frame):
    return frame.assign(number=frame.number * 2, second_pod=os.environ["HOSTNAME"])


@dg.asset(key=["{name}", "third"], ins={{"frame": dg.AssetIn(key=["{name}", "second"])}})
def third(context, frame):
    pods = {{*frame.pod, *frame.second_pod, os.environ["HOSTNAME"]}}
    if len(pods) != 3 or list(frame.number) != [2, 4, 6]:
        raise ValueError(f"{{frame.to_dict()}} on {{pods}}")
    context.add_output_metadata({{"pods": len(pods)}})
    return frame
"""
# The official chart has the list of locations in the pods of these two.
RESTARTED = {"dagster-webserver", "dagster-daemon"}


@pytest.fixture(autouse=True)
def _without_them_at_the_end(cluster: Cluster) -> Iterator[None]:
    """Whatever becomes of the test, those after it find the locations of the checkout."""
    yield
    if any(cluster.pods(f"deployment={name}") for name in NAMES.values()):
        cluster.terrane("up", "--once")


def test_one_of_each_kind_comes_runs_its_asset_and_goes(cluster: Cluster, tmp_path: Path) -> None:
    copy = _copy(cluster.project, tmp_path / "checkout")
    files, pods, objects = changes(copy.root, ignored=True), _others(cluster), _objects(cluster)
    for kind, name in NAMES.items():
        _run(copy, "location", name, "--kind", kind)
    frames = NAMES[Kind.FEATURES]
    (copy.root / f"code_locations/{frames}/src/{frames}/defs/frames.py").write_text(CHAIN.format(name=frames))
    _run(copy, "cluster", "up", "--once")
    assert _others(cluster) == pods
    for kind, name in NAMES.items():
        _make_its_asset(cluster, kind, name)
    # Whatever the first two pods had is gone with them: the third finds the frame in the lake.
    for each in ("first", "second", "third"):
        _launch(cluster, frames, [[frames, each]])

    alive = launch_ping(cluster, "spatial", seconds=ALIVE_S)
    until(lambda: status_of(cluster, alive) == "STARTED", seconds=120)
    pod, began = _pod_of(cluster, alive), time.time()
    for name in NAMES.values():
        _run(copy, "location-remove", name)
    assert changes(copy.root, ignored=True) == files
    _run(copy, "cluster", "up", "--once")
    assert began < _last_deployed()
    assert status_of(cluster, alive) == "STARTED"
    assert _pod_of(cluster, alive) == pod
    cancel(cluster, alive)
    assert _others(cluster) == pods
    until(lambda: _objects(cluster) == objects, seconds=180)
    for kind, name in NAMES.items():
        assert not cluster.pods(f"deployment={name}")
        assert not _materialised(cluster, _key(kind, name)), name


def _copy(project: Project, root: Path) -> Project:
    """A copy of the checkout with an environment of its own for the workspace: deploying brings that up to date."""
    copy = copy_checkout(project, root)
    (root / ".venv").unlink()
    own = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    subprocess.run(["make", "--no-print-directory", "charts"], cwd=root, env=variables(copy) | own, check=True)
    return copy


def _run(copy: Project, *words: str) -> None:
    own = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    done = terrane(copy, *words, **own)
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


def _pod_of(cluster: Cluster, run: str) -> tuple[str, str]:
    """The id of the run's one pod, and whether it runs."""
    (pod,) = cluster.objects("pods", "--selector", f"dagster/run-id={run}")
    return pod["metadata"]["uid"], pod["status"]["phase"]


def _objects(cluster: Cluster) -> set[str]:
    """What the release has on the cluster, its own history left out."""
    found = [f"{each['kind']} {each['metadata']['name']}" for each in cluster.objects(KINDS)]
    return {name for name in found if "sh.helm.release" not in name}


def _last_deployed() -> float:
    """When the release was last deployed, in seconds since the epoch."""
    told = json.loads(helm("status", "terrane", "--output", "json"))["info"]["last_deployed"]
    return datetime.fromisoformat(re.sub(r"\.\d+", "", told)).timestamp()


def _key(kind: Kind, name: str) -> list[str]:
    return [part.format(name=name) for part in KEYS[kind]]


def _make_its_asset(cluster: Cluster, kind: Kind, name: str) -> None:
    if kind is Kind.SPATIAL:
        batch = f"{name}-{time.time():.0f}"
        cluster.kubectl("exec", deployment_of(name), "--", "python", "-c", DELIVER, name, batch)
    else:
        _launch(cluster, name, [[part.format(name=name) for part in key] for key in SELECTED[kind]])
    until(lambda: bool(_materialised(cluster, _key(kind, name))), seconds=RUN_LIMIT_S)


def _launch(cluster: Cluster, location: str, keys: list[list[str]]) -> None:
    """One run of those assets, to its good end."""
    assets = [{"path": key} for key in keys]
    launched = cluster.dagster.query(LAUNCH, location=location, assets=assets)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", json.dumps(launched)
    run = launched["run"]["runId"]
    until(lambda: status_of(cluster, run) in {"SUCCESS", "FAILURE", "CANCELED"}, seconds=RUN_LIMIT_S)
    assert status_of(cluster, run) == "SUCCESS", f"{location}: {cluster.dagster.failure(run)}"


def _materialised(cluster: Cluster, key: list[str]) -> list[Any]:
    """The asset's newest materialisation; nothing where the UI has no such asset."""
    nodes = cluster.dagster.query(MATERIALISED, keys=[{"path": key}])["assetNodes"]
    return nodes[0]["assetMaterializations"] if nodes else []
