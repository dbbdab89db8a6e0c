"""What every object of every profile must be, whoever's chart it comes from."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from tests.charts.rendering import Render

pytestmark = pytest.mark.unit

# The Dagster chart gives these init containers no resources, and no value for it.
WITHOUT_RESOURCES = {"Deployment/terrane-celery-workers-dagster/check-db-ready"}
WITHOUT_RESOURCES |= {"Deployment/terrane-celery-workers-heavy/check-db-ready"}

# Makes runs or ends them, or loads what does.
MAKES_RUNS = re.compile(
    r"Deployment/terrane-(dagster-(webserver(-read-only)?|daemon|user-deployments-.*)|celery-workers-.*)"
)


def test_every_object_is_one_that_kubernetes_takes(every: Render) -> None:
    assert every.refused() == {}


def test_no_object_is_there_twice(every: Render) -> None:
    counts = Counter((o["apiVersion"], o["kind"], o["metadata"]["name"]) for o in every.objects)
    assert [key for key, count in counts.items() if count > 1] == []


def test_every_name_that_a_pod_refers_to_is_an_object_of_the_release(every: Render, profile: str) -> None:
    there = {kind: every.names(kind) for kind in ("ConfigMap", "Secret", "ServiceAccount")}
    missing = [f"{owner}: {kind} {name}" for owner, kind, name in _references(every) if name not in there[kind]]
    if profile == "production":
        # Its Secrets exist already.
        missing = [m for m in missing if ": Secret terrane-" not in m and not m.endswith(": Secret feature-keys")]
    assert missing == []


def test_no_container_runs_as_root_or_writes_outside_its_volumes(every: Render) -> None:
    assert every.unconfined() == []


def test_every_process_of_dagster_has_where_to_write(every: Render) -> None:
    processes = [
        (name, {m["mountPath"] for m in container.get("volumeMounts") or []})
        for name, container in every.containers()
        if name.endswith(("/dagster", "/dagster-user-deployments"))
    ]
    assert len(processes) >= 5
    assert [name for name, mounts in processes if not {"/tmp", "/opt/dagster/dagster_home"} <= mounts] == []


def test_every_container_says_what_it_needs_and_where_memory_ends(every: Render) -> None:
    assert [name for name in every.unlimited() if name not in WITHOUT_RESOURCES] == []


def test_only_what_makes_or_ends_runs_has_a_token(every: Render) -> None:
    with_token = {owner for owner, pod in every.pods() if pod.get("automountServiceAccountToken", True)}
    assert {owner for owner in with_token if not MAKES_RUNS.fullmatch(owner)} == set()


def test_roles_reach_jobs_and_pods_of_the_namespace_and_nothing_else(every: Render) -> None:
    assert every.of("ClusterRole", "ClusterRoleBinding") == []
    reached = {
        (resource, verb)
        for role in every.of("Role")
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert {resource.split("/")[0] for resource, _ in reached} <= {"jobs", "pods", "events"}
    assert "*" not in {verb for _, verb in reached}


def test_every_service_finds_pods(every: Render) -> None:
    labels = [o["spec"]["template"]["metadata"]["labels"] for o in every.of("Deployment", "StatefulSet")]
    unfound = [
        o["metadata"]["name"]
        for o in every.of("Service")
        if not any(o["spec"]["selector"].items() <= pod.items() for pod in labels)
    ]
    assert unfound == []


def test_every_ingress_leads_to_a_port_of_a_service(every: Render) -> None:
    ports = {
        (o["metadata"]["name"], port)
        for o in every.of("Service")
        for p in o["spec"]["ports"]
        for port in (p["port"], p.get("name"))
    }
    for ingress in every.of("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                assert (service["name"], *service["port"].values()) in ports


def _references(render: Render) -> list[tuple[str, str, str]]:
    found = []
    for owner, pod in render.pods():
        if account := pod.get("serviceAccountName"):
            found.append((owner, "ServiceAccount", account))
        for volume in pod.get("volumes") or []:
            if "configMap" in volume:
                found.append((owner, "ConfigMap", volume["configMap"]["name"]))
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            for source in container.get("envFrom") or []:
                for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                    if key in source and not source[key].get("optional"):
                        found.append((owner, kind, source[key]["name"]))
            for variable in container.get("env") or []:
                origin = variable.get("valueFrom") or {}
                for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                    if key in origin:
                        found.append((owner, kind, origin[key]["name"]))
    return found
