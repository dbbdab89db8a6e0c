"""The platform on a cluster does what it does on one machine, and is seen through the ingress."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.cluster.platform import ping

from terrane.object_store import COMPUTE_LOGS, DATA_LAKE
from terrane.publishing import list_commits
from terrane_cli.cluster import access

if TYPE_CHECKING:
    from tests.cluster.platform import Cluster

pytestmark = pytest.mark.cluster

ROUNDS = 3
LOGS = """
query ($run: ID!) { runOrError(runId: $run) { ... on Run { eventConnection(limit: 200) { events { __typename
  ... on LogsCapturedEvent { fileKey } } } } } }
"""
CAPTURED = "query ($key: [String!]!) { capturedLogs(logKey: $key) { stderr stdout } }"


def test_one_command_ends_with_the_table(cluster: Cluster) -> None:
    assert cluster.code == 0, cluster.output[-6000:]
    assert "Online features" in cluster.output
    assert f"http://{access.UI_HOST}" in cluster.output


def test_every_location_is_loaded_by_an_image_of_its_own(cluster: Cluster) -> None:
    assert cluster.dagster.load_errors() == {}
    images = {
        pod["metadata"]["labels"]["deployment"]: pod["spec"]["containers"][0]["image"]
        for pod in cluster.objects("pods", "--selector", "deployment,component=user-deployments")
    }
    assert set(images) == set(cluster.project.locations)
    assert len(set(images.values())) == len(images)


def test_what_is_served_through_the_ingress_is_what_gold_holds(cluster: Cluster) -> None:
    rows = cluster.sql("warehouse", "select user_id, entries_total from gold.user_journal_features order by 1")
    body = {"feature_service": "analyzer", "entities": {"user_id": [int(row[0]) for row in rows]}}
    answer = _features(body)
    values = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
    assert len(rows) > 4000
    assert values["entries_total"]["values"] == [int(row[1]) for row in rows]


def test_the_ingress_of_the_features_answers_nothing_but_reading(cluster: Cluster) -> None:
    for path in ("/push", "/materialize", "/health", "/docs", "/"):
        answer = httpx.post(f"{access.ingress()}{path}", headers={"Host": access.FEATURES_HOST}, timeout=10)
        assert answer.status_code == 404, path


def test_the_lake_holds_the_batch_and_no_schema_is_left(cluster: Cluster) -> None:
    with access.object_store() as store:
        assert len(list_commits(store.bucket(DATA_LAKE), "places")) == 1
    assert cluster.sql("spatial_compute", r"select nspname from pg_namespace where nspname like 'run\_%'") == []


def test_the_log_of_a_run_is_read_from_the_object_store(cluster: Cluster) -> None:
    assert _log(cluster, "data_lake/places")
    with access.object_store() as store:
        import obstore

        assert [e for page in obstore.list(store.bucket(COMPUTE_LOGS)) for e in page]


def test_what_reads_a_producer_s_file_in_a_pod_is_confined_by_the_kernel(cluster: Cluster) -> None:
    assert "'confined to the file by': ['files', 'calls']" in _log(cluster, "data_lake/places")


def test_runs_are_pods_of_their_location_with_limits_and_an_end(cluster: Cluster) -> None:
    jobs = [j for j in cluster.objects("jobs") if "dagster/run-id" in j["metadata"]["labels"]]
    assert jobs
    for job in jobs:
        spec, pod = job["spec"], job["spec"]["template"]["spec"]
        location = job["metadata"]["labels"]["dagster/code-location"]
        container = pod["containers"][0]
        assert spec["ttlSecondsAfterFinished"] == 3600
        assert f"terrane/{location}" in container["image"]
        assert container["resources"]["limits"]["memory"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsNonRoot"] is True


def test_every_pod_is_named_with_its_location_and_is_well(cluster: Cluster) -> None:
    seen = cluster.terrane("status")
    assert seen.returncode == 0, seen.stdout
    for location in cluster.project.locations:
        assert location in seen.stdout


def test_an_empty_run_takes_seconds_from_queue_to_success(cluster: Cluster) -> None:
    # `make bench-platform` measures; this bound is for a machine that others use as well.
    assert min(ping(cluster, "spatial") for _ in range(ROUNDS)) < 10


def test_the_ui_shows_the_lineage_in_a_browser(cluster: Cluster, pictures: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    url = f"http://{access.UI_HOST}/assets/online/user_journal_features?view=lineage&lineageScope=upstream&lineageDepth=10"
    resolve = f"--host-resolver-rules=MAP {access.UI_HOST} 127.0.0.1"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=30000"]
    picture = pictures / "lineage.png"
    shown = [f"--screenshot={picture}", "--window-size=2000,1100"]
    subprocess.run([browser, *options, resolve, *shown, url], capture_output=True, timeout=120, check=True)
    page = subprocess.run(
        [browser, *options, resolve, "--dump-dom", url], capture_output=True, text=True, timeout=120, check=True
    )
    for name in ("located_entries", "journal_entries", "registry"):
        assert name in page.stdout
    assert picture.stat().st_size > 50_000


def _log(cluster: Cluster, asset: str) -> str:
    """What the steps of the asset's last run wrote, as the UI shows it."""
    run = cluster.dagster.assets([asset])[asset].run_id
    events = cluster.dagster.query(LOGS, run=run)["runOrError"]["eventConnection"]["events"]
    keys = [e["fileKey"] for e in events if e["__typename"] == "LogsCapturedEvent"]
    texts = [cluster.dagster.query(CAPTURED, key=[run, "compute_logs", key])["capturedLogs"] for key in keys]
    return "".join((text["stderr"] or "") + (text["stdout"] or "") for text in texts)


def _features(body: dict[str, Any]) -> dict[str, Any]:
    url = f"{access.ingress()}/get-online-features"
    answer = httpx.post(url, json=body, headers={"Host": access.FEATURES_HOST}, timeout=60)
    answer.raise_for_status()
    return answer.json()
