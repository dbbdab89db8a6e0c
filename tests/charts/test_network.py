"""Services, policies and addresses lead to the pods and ports they are for."""

from __future__ import annotations

from collections import defaultdict

import pytest
from tests.charts.conftest import Rendering
from tests.charts.rendering import LOCATIONS, Object, Render

pytestmark = pytest.mark.unit

STORES = {"postgres": 5432, "postgis": 5432, "redis": 6379, "minio": 9000}
POOLER = {"terrane-postgres-pooler": ("terrane-postgres", "pooler", 5432)}
# Each Service: the workload whose pods it leads to, the port's name, its number, and that of the container.
SERVICES = {
    **{name: (f"terrane-dagster-user-deployments-{name}", "grpc", 4000) for name in LOCATIONS},
    "terrane-dagster-webserver": ("terrane-dagster-webserver", "http", 3001),
    "terrane-feature-server": ("terrane-feature-server", "http", 6566),
}
SAMPLE = {"terrane-source": ("terrane-source", "http", 8080)}
READ_ONLY = {"terrane-dagster-webserver-read-only": ("terrane-dagster-webserver-read-only", "http", 3001)}


def _store_services(*stores: str) -> dict[str, tuple[str, str, int]]:
    names = {"postgis": "postgres", "broker": "redis"}
    ports = {**STORES, "broker": 6379}
    of_store = {s: (f"terrane-{s}", names.get(s, s), ports[s]) for s in stores}
    return {f"terrane-{s}{end}": found for s, found in of_store.items() for end in ("", "-headless")}


EXPECTED = {
    "default": {**SERVICES, **POOLER, **_store_services(*STORES)},
    "kind": {**SERVICES, **POOLER, **SAMPLE, **_store_services(*STORES)},
    "celery": {**SERVICES, **POOLER, **SAMPLE, **_store_services(*STORES, "broker")},
    "production": {**SERVICES, **READ_ONLY},
}


def test_every_service_leads_to_the_pods_and_the_port_it_is_for(every: Render, profile: str) -> None:
    found = {}
    for service in every.of("Service"):
        (port,) = service["spec"]["ports"]
        (workload,) = _chosen(every, service["spec"]["selector"])
        # It goes by all that the workload goes by: another release in the namespace has pods of the same names.
        assert workload["spec"]["selector"]["matchLabels"].items() <= service["spec"]["selector"].items()
        found[service["metadata"]["name"]] = (workload["metadata"]["name"], port["name"], port["port"])
        ports = {p["name"]: p["containerPort"] for c in _containers(workload) for p in c.get("ports", [])}
        # A port by name is the container's; without one the number is the same. The pooler stands in for the server.
        target = port.get("targetPort", port["port"])
        assert target in (port["name"], port["port"])
        assert ports.get(port["name"], port["port"]) == (6432 if port["name"] == "pooler" else port["port"])
        assert ports.get(target, target) == ports.get(port["name"], port["port"])
        assert not isinstance(target, str) or target in ports
        assert port.get("protocol", "TCP") == "TCP"
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"
    assert found == EXPECTED[profile]


def test_ports_that_containers_name_are_those_that_services_lead_to(every: Render) -> None:
    for owner, container in every.containers():
        for port in container.get("ports") or []:
            assert port.get("protocol", "TCP") == "TCP"
            assert port["name"] in ("http", "postgres", "pooler", "redis", "minio"), owner
    listening = {name.split("/")[1] for name, c in every.containers() if c.get("ports")}
    wanted = {workload for workload, _, _ in (_of_service(every, o) for o in every.of("Service"))}
    # The Dagster chart names no port of a code server.
    assert wanted - listening == {f"terrane-dagster-user-deployments-{name}" for name in LOCATIONS}
    assert listening <= wanted


def test_a_stores_headless_service_names_its_pod_from_the_start(rendered: Rendering) -> None:
    celery = rendered("celery")
    for store in (*STORES, "broker"):
        headless = celery.get("Service", f"terrane-{store}-headless")["spec"]
        assert (headless["clusterIP"], headless["publishNotReadyAddresses"]) == ("None", True)
        assert celery.get("StatefulSet", f"terrane-{store}")["spec"]["serviceName"] == f"terrane-{store}-headless"
        # Clients go by the other one, which leads to what is ready.
        assert celery.get("Service", f"terrane-{store}")["spec"].keys() == {"selector", "ports"}


@pytest.mark.parametrize("profile", ["kind", "celery"])
def test_a_policy_shields_each_stores_pods_on_their_ports(profile: str, rendered: Rendering) -> None:
    render = rendered(profile)
    stores = {**STORES, **({"broker": 6379} if profile == "celery" else {})}
    shielded = {}
    for policy in render.of("NetworkPolicy"):
        spec = policy["spec"]
        assert spec.keys() == {"podSelector", "policyTypes", "ingress"}
        assert spec["podSelector"].keys() == {"matchLabels"}
        (store,) = _chosen(render, spec["podSelector"]["matchLabels"])
        assert store["kind"] == "StatefulSet"
        assert spec["policyTypes"] == ["Ingress"]
        (rule,) = spec["ingress"]
        assert rule["from"] == [{"podSelector": {}}]
        assert [port.keys() for port in rule["ports"]] == [{"port"}] * len(rule["ports"])
        ports = [port["port"] for port in rule["ports"]]
        assert ports == [port["containerPort"] for c in _containers(store) for port in c["ports"]]
        assert policy["metadata"]["name"] == store["metadata"]["name"]
        shielded[store["metadata"]["name"]] = ports
    expected = {f"terrane-{store}": [port] for store, port in stores.items()}
    assert shielded == {**expected, "terrane-postgres": [5432, 6432]}


def test_every_selector_chooses_its_own_pods_and_no_others(every: Render) -> None:
    chosen = defaultdict(list)
    for o in every.of("Deployment", "StatefulSet"):
        labels = o["spec"]["selector"]["matchLabels"]
        assert o["spec"]["selector"].keys() == {"matchLabels"}
        own = o["spec"]["template"]["metadata"]["labels"]
        assert labels.items() <= own.items(), o["metadata"]["name"]
        chosen[o["metadata"]["name"]] = [w["metadata"]["name"] for w in _chosen(every, labels)]
    # The Dagster chart gives its workers a selector that webserver and daemon match as well; their own ReplicaSets tell
    # pods apart by a hash.
    exact = {name: found for name, found in chosen.items() if "celery-workers" not in name}
    assert exact == {name: [name] for name in exact}


def test_addresses_of_the_outside_lead_to_what_they_are_for(rendered: Rendering) -> None:
    assert _ingresses(rendered("default")) == {}
    ui = ("/", "Prefix", "terrane-dagster-webserver", {"number": 3001})
    features = ("/get-online-features", "Exact", "terrane-feature-server", {"name": "http"})
    for profile in ("kind", "celery"):
        assert _ingresses(rendered(profile)) == {"dagster.localhost": ui, "features.localhost": features}
    read_only = ("/", "Prefix", "terrane-dagster-webserver-read-only", {"number": 3001})
    assert _ingresses(rendered("production")) == {
        "dagster.example.com": ui,
        "look.example.com": read_only,
        "features.example.com": features,
    }
    tls = {
        host: entry["secretName"]
        for o in rendered("production").of("Ingress")
        for entry in o["spec"]["tls"]
        for host in entry["hosts"]
    }
    assert tls == {
        "dagster.example.com": "terrane-ui-tls",
        "look.example.com": "terrane-ui-read-only-tls",
        "features.example.com": "terrane-features-tls",
    }


def _ingresses(render: Render) -> dict[str, tuple[str, str, str, Object]]:
    found = {}
    for ingress in render.of("Ingress"):
        for rule in ingress["spec"]["rules"]:
            (path,) = rule["http"]["paths"]
            service = path["backend"]["service"]
            found[rule["host"]] = (path["path"], path["pathType"], service["name"], service["port"])
    return found


def _chosen(render: Render, labels: dict[str, str]) -> list[Object]:
    """The workloads whose pods have these labels."""
    return [
        o
        for o in render.of("Deployment", "StatefulSet", "Job")
        if labels.items() <= o["spec"]["template"]["metadata"]["labels"].items()
    ]


def _of_service(render: Render, service: Object) -> tuple[str, str, int]:
    (workload,) = _chosen(render, service["spec"]["selector"])
    (port,) = service["spec"]["ports"]
    return workload["metadata"]["name"], port["name"], port["port"]


def _containers(workload: Object) -> list[Object]:
    return workload["spec"]["template"]["spec"]["containers"]
