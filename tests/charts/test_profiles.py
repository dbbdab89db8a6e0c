"""What each profile is for is in its objects."""

from __future__ import annotations

import pytest
from tests.charts.conftest import Rendering

pytestmark = pytest.mark.unit


def test_kind_has_the_sample_source_and_both_ingresses(rendered: Rendering) -> None:
    kind = rendered("kind")
    assert "terrane-source" in kind.names("Deployment")
    hosts = {rule["host"] for o in kind.of("Ingress") for rule in o["spec"]["rules"]}
    assert hosts == {"dagster.localhost", "features.localhost"}


def test_by_default_nothing_is_open_to_the_outside(rendered: Rendering) -> None:
    default = rendered("default")
    assert default.of("Ingress") == []
    assert {o["spec"].get("type", "ClusterIP") for o in default.of("Service")} == {"ClusterIP"}
    assert "terrane-source" not in default.names("Deployment")


def test_the_ingress_exposes_reading_features_and_nothing_else(rendered: Rendering) -> None:
    for profile in ("kind", "production"):
        rules = rendered(profile).get("Ingress", "terrane-features")["spec"]["rules"]
        paths = [(path["path"], path["pathType"]) for rule in rules for path in rule["http"]["paths"]]
        assert paths == [("/get-online-features", "Exact")]


def test_the_keys_of_the_feature_server_are_one_value(rendered: Rendering) -> None:
    def container(*settings: str) -> dict:
        deployment = rendered("kind", *settings).get("Deployment", "terrane-feature-server")
        return deployment["spec"]["template"]["spec"]["containers"][0]

    keys = {"secretRef": {"name": "feature-keys"}}
    assert keys in container("featureServer.accessSecret=feature-keys")["envFrom"]
    assert keys not in container()["envFrom"]


def test_production_has_more_than_one_of_what_people_wait_for(rendered: Rendering) -> None:
    production = rendered("production")
    assert production.get("Deployment", "terrane-dagster-webserver")["spec"]["replicas"] == 2
    scaler = production.get("HorizontalPodAutoscaler", "terrane-feature-server")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 6)
    assert "replicas" not in production.get("Deployment", "terrane-feature-server")["spec"]
    pods = [o["spec"]["template"]["metadata"]["labels"] for o in production.of("Deployment")]
    for budget in production.of("PodDisruptionBudget"):
        chosen = [p for p in pods if budget["spec"]["selector"]["matchLabels"].items() <= p.items()]
        assert len(chosen) == 1, budget["metadata"]["name"]
    assert len(production.of("PodDisruptionBudget")) == 2


def test_productions_addresses_have_tls_and_ask_for_a_login(rendered: Rendering) -> None:
    production = rendered("production")
    for ingress in production.of("Ingress"):
        secured = {host for entry in ingress["spec"]["tls"] for host in entry["hosts"]}
        assert secured == {rule["host"] for rule in ingress["spec"]["rules"]}
        assert all(entry["secretName"] for entry in ingress["spec"]["tls"])
    ui = production.get("Ingress", "terrane-dagster-ingress")
    assert ui["spec"]["ingressClassName"] == "public"
    assert ui["metadata"]["annotations"] == {
        "traefik.ingress.kubernetes.io/router.middlewares": "terrane-login@kubernetescrd"
    }
    server = production.get("Deployment", "terrane-feature-server")["spec"]["template"]["spec"]["containers"][0]
    assert {"secretRef": {"name": "feature-keys"}} in server["envFrom"]


def test_productions_second_ui_can_start_nothing(rendered: Rendering) -> None:
    production = rendered("production")
    commands = {
        name: production.get("Deployment", name)["spec"]["template"]["spec"]["containers"][0]["command"][-1]
        for name in ("terrane-dagster-webserver", "terrane-dagster-webserver-read-only")
    }
    assert [name for name, command in commands.items() if "--read-only" in command] == list(commands)[1:]


def test_the_first_day_can_be_given(rendered: Rendering) -> None:
    given = rendered("kind", "source.startDate=2026-01-01")
    assert given.get("ConfigMap", "terrane-source-address")["data"]["INGESTION_START_DATE"] == "2026-01-01"
