"""Stores of others: each setting reaches every pod that needs it."""

from __future__ import annotations

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.rendering import AUTHORITIES, AUTHORITIES_MOUNT, CERTIFICATES, LOCATIONS, Render

from terrane_cli.commands import CliError

pytestmark = pytest.mark.unit

IDENTITY = ("s3.workloadIdentity=true", "minio.enabled=false", "s3.endpoint=https://s3.example.com")
CELERY_TLS = ("celery.host=redis.example.com", "celery.user=terrane", "celery.tls=true", "celery.caFile=redis.crt")
ADDRESSES = {"terrane-warehouse-address", "terrane-spatial-address", "terrane-redis-address", "terrane-s3-address"}


def test_whoever_has_the_address_of_a_store_or_dagsters_configuration_has_the_certificates(every: Render) -> None:
    needing = set()
    for owner, pod in every.pods():
        for container in pod["containers"]:
            sources = {s.get("configMapRef", {}).get("name") for s in container.get("envFrom") or []}
            instance = any(m["name"] == "dagster-instance" for m in container.get("volumeMounts") or [])
            if sources & ADDRESSES or instance:
                needing.add(owner)
                assert AUTHORITIES in pod["volumes"], owner
                assert AUTHORITIES_MOUNT in container["volumeMounts"], owner
    assert {"Job/terrane-buckets", "Deployment/terrane-feature-server", "Deployment/terrane-dagster-daemon"} <= needing
    assert {f"Deployment/terrane-dagster-user-deployments-{name}" for name in LOCATIONS} <= needing


def test_runs_have_them_too(every: Render) -> None:
    launcher = yaml.safe_load(every.instance())["run_launcher"]["config"]
    if "run_k8s_config" in launcher:
        launcher = {
            "volumes": launcher["run_k8s_config"]["pod_spec_config"]["volumes"],
            "volume_mounts": launcher["run_k8s_config"]["container_config"]["volumeMounts"],
        }
    for context in (launcher, *(every.container_context(name)["k8s"] for name in LOCATIONS)):
        assert AUTHORITIES in context["volumes"]
        assert AUTHORITIES_MOUNT in context["volume_mounts"]


def test_certificates_that_are_given_are_put_where_they_are_looked_for(rendered: Rendering) -> None:
    text = "-----BEGIN CERTIFICATE-----"
    given = rendered("kind", f"authorities.redis\\.crt={text}", "onlineStore.caFile=redis.crt")
    assert given.get("ConfigMap", "terrane-authorities")["data"] == {"redis.crt": f"{text}\n"}
    assert given.get("ConfigMap", "terrane-redis-address")["data"]["REDIS_CA_FILE"] == f"{CERTIFICATES}/redis.crt"
    assert "terrane-authorities" not in rendered("kind").names("ConfigMap")


def test_a_file_that_the_images_have_goes_by_its_path(rendered: Rendering) -> None:
    system = "/etc/ssl/certs/ca-certificates.crt"
    render = rendered("kind", f"warehouse.caFile={system}", f"s3.caFile={system}")
    assert render.get("ConfigMap", "terrane-warehouse-address")["data"]["WAREHOUSE_SSLROOTCERT"] == system
    assert render.get("ConfigMap", "terrane-s3-address")["data"]["AWS_CA_BUNDLE"] == system


def test_what_is_no_certificate_is_refused(rendered: Rendering) -> None:
    with pytest.raises(CliError, match="authorities"):
        rendered("kind", "authorities.redis\\.crt=a-path")
    with pytest.raises(CliError, match="sslMode"):
        rendered("kind", "warehouse.sslMode=verify")


def test_with_an_identity_there_are_no_keys(rendered: Rendering) -> None:
    with pytest.raises(CliError, match="MinIO knows no identities"):
        rendered("kind", "s3.workloadIdentity=true")
    for profile in ("kind", "celery"):
        render = rendered(profile, *IDENTITY)
        assert not render.get("Secret", "terrane-s3").get("data")
        held = [key for o in render.of("Secret") for key in o.get("data") or {}]
        assert [key for key in held if key.startswith(("AWS_", "MINIO_"))] == []
        for name, container in render.containers():
            for variable in container.get("env") or []:
                reference = variable.get("valueFrom", {}).get("secretKeyRef", {})
                assert reference.get("name") != "terrane-s3" or reference["optional"], name


def test_buckets_are_made_where_it_is_asked_for_and_looked_at_everywhere(rendered: Rendering) -> None:
    for profile, made in (("kind", True), ("production", False)):
        (container,) = rendered(profile).get("Job", "terrane-buckets")["spec"]["template"]["spec"]["containers"]
        assert container["command"] == ["python", "-m", "terrane.object_store.buckets", *(["--make"] if made else [])]


def test_the_brokers_address_says_how_it_is_encrypted(rendered: Rendering) -> None:
    secret = rendered("celery", *CELERY_TLS).secrets()
    password = secret["terrane-broker"]["BROKER_PASSWORD"]
    checked = f"ssl_cert_reqs=required&ssl_ca_certs={CERTIFICATES}/redis.crt"
    for variable, database in (("DAGSTER_CELERY_BROKER_URL", 0), ("DAGSTER_CELERY_BACKEND_URL", 1)):
        address = f"rediss://terrane:{password}@redis.example.com:6379/{database}?{checked}"
        assert secret["terrane-celery"][variable] == address
