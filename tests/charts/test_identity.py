"""What an object is called and labelled, what of it can never change, and whose it is."""

from __future__ import annotations

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.fixed import FILE, fixed
from tests.charts.rendering import Object, Render

from terrane_cli.charts.dependencies import dagster_version
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

OURS = {"platform", "postgres", "postgis", "redis", "broker", "minio"}


@pytest.mark.parametrize("profile", ["celery", "production"])
def test_what_cannot_change_is_as_in_the_last_release(profile: str, rendered: Rendering) -> None:
    last = yaml.safe_load(FILE.read_text())[profile]
    now = fixed(rendered(profile))
    assert len(last) >= 5
    # What is new may be as it likes; a field that went, with its object or without, was there.
    assert {key: value for key, value in now.items() if key in last} == last


def test_every_object_says_what_it_is_and_whose(every: Render, project: Project) -> None:
    versions = {
        name: yaml.safe_load((project.root / f"charts/{folder}/Chart.yaml").read_text())["version"]
        for name, folder in {**{n: n for n in OURS}, "postgis": "postgres", "broker": "redis"}.items()
    }
    for o in every.objects:
        labels = o["metadata"].get("labels") or {}
        chart, _, version = (labels.get("helm.sh/chart") or labels.get("chart") or "").rpartition("-")
        if chart in OURS:
            assert version == versions[chart], o["metadata"]["name"]
            assert labels == _own_labels(o, chart, version), o["metadata"]["name"]
        elif o["metadata"]["name"] != "terrane-webserver":
            assert chart in ("dagster", "dagster-user-deployments"), f"{o['kind']}/{o['metadata']['name']}: {labels}"
            assert version == dagster_version(project)
            _assert_dagsters(o, chart, version)


def test_pods_are_labelled_by_what_selects_them_and_by_whose_they_are(every: Render) -> None:
    for o in every.of("Deployment", "StatefulSet", "Job"):
        labels = o["spec"]["template"]["metadata"]["labels"]
        chosen = (o["spec"].get("selector") or {}).get("matchLabels", {})
        name = o["metadata"]["name"]
        if "celery-workers" in name:
            more = {"queue": name.rsplit("-", 1)[1]}
        elif "user-deployments" in name:
            more = {"app.kubernetes.io/part-of": "terrane"}
        elif "dagster-" in name:
            more = {}
        else:
            more = {"app.kubernetes.io/part-of": "terrane", "app.kubernetes.io/component": _component(o)}
            own = name if o["kind"] == "Deployment" else name.removeprefix("terrane-")
            expected = {"terrane-buckets": "terrane-buckets"}.get(name, own)
            if o["kind"] == "Job" and name != "terrane-buckets":
                expected = f"{own.split('-')[0]}-provision"
            chosen = {"app.kubernetes.io/name": expected, "app.kubernetes.io/instance": "terrane"}
        assert labels == {**chosen, **more}, name


@pytest.mark.parametrize("profile", ["kind", "celery"])
def test_another_release_in_another_namespace_is_itself_alone(profile: str, rendered: Rendering) -> None:
    first, other = rendered(profile), rendered(profile, release="second", namespace="elsewhere")
    assert other.refused() == {}
    assert len(other.objects) == len(first.objects)
    for o in other.objects:
        labels = o["metadata"]["labels"]
        assert labels.get("app.kubernetes.io/instance", labels.get("release")) == "second", o["metadata"]["name"]
        assert o["metadata"].get("namespace", "elsewhere") == "elsewhere"
    for o in other.of("Deployment", "StatefulSet"):
        assert o["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == "second"
        assert o["spec"]["selector"]["matchLabels"].items() <= o["spec"]["template"]["metadata"]["labels"].items()
    # Whatever a pod refers to is there under the other name as well.
    there = {kind: other.names(kind) for kind in ("ConfigMap", "Secret", "ServiceAccount", "PersistentVolumeClaim")}
    for owner, pod in other.pods():
        assert pod.get("serviceAccountName", "second-dagster") in there["ServiceAccount"], owner
        for volume in pod.get("volumes") or []:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in there["ConfigMap"], owner
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in there["PersistentVolumeClaim"], owner
    instance = yaml.safe_load(other.get("ConfigMap", "second-dagster-instance")["data"]["dagster.yaml"])
    launcher = instance["run_launcher"]["config"]
    assert launcher["job_namespace"] == "elsewhere"
    assert launcher["instance_config_map"] == "second-dagster-instance"


def _own_labels(o: Object, chart: str, version: str) -> dict[str, str]:
    name: str = o["metadata"]["name"]
    if chart != "platform":
        name, component = chart, "store"
    else:
        component = _component(o)
        name = "terrane-feature-server" if o["kind"] == "Ingress" else name
        name = name.removesuffix("-address") if o["kind"] == "ConfigMap" else name
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": "terrane",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "terrane",
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": f"{chart}-{version}",
    }


def _component(o: Object) -> str:
    kind, name = o["kind"], o["metadata"]["name"]
    by_kind = {"Secret": "credentials", "ConfigMap": "addresses", "NetworkPolicy": "network", "Pod": "test"}
    by_kind |= {"Job": "hook", "StatefulSet": "store"}
    return by_kind.get(kind) or ("sample" if name == "terrane-source" else "serving")


def _assert_dagsters(o: Object, chart: str, version: str) -> None:
    """Labels of the Dagster chart, which has two ways of its own."""
    labels, name = o["metadata"]["labels"], o["metadata"]["name"]
    if "heritage" in labels:
        assert labels == {"app": chart, "chart": f"{chart}-{version}", "release": "terrane", "heritage": "Helm"}, name
        return
    common = {
        "helm.sh/chart": f"{chart}-{version}",
        "app.kubernetes.io/name": chart,
        "app.kubernetes.io/instance": "terrane",
        "app.kubernetes.io/version": version,
        "app.kubernetes.io/managed-by": "Helm",
    }
    more = {key: value for key, value in labels.items() if key not in common}
    assert {key: labels.get(key) for key in common} == common, name
    if chart == "dagster-user-deployments" and o["kind"] in ("Deployment", "Service"):
        location = name.removeprefix("terrane-dagster-user-deployments-")
        part = {"app.kubernetes.io/part-of": "terrane"} if o["kind"] == "Deployment" else {}
        assert more == {"component": "user-deployments", "deployment": location, **part}, name
    elif o["kind"] in ("Deployment", "Service"):
        component = "celery" if "celery" in name else name.removeprefix("terrane-")
        deployment = {"deployment": "daemon"} if component == "dagster-daemon" else {}
        assert more == {"component": component, **deployment}, name
    else:
        assert more == {}, name
