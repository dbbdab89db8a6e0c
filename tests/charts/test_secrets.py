"""Passwords are in Secrets, referred to by name, and made anew for each platform."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.rendering import Render

from terrane.environment import VARIABLES

pytestmark = pytest.mark.unit

CONFIDENTIAL = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY|ACCESS_KEY|BROKER_URL|BACKEND_URL")
# The user's name is no secret, and the same on every platform.
USER_NAMES = {"MINIO_ROOT_USER", "AWS_ACCESS_KEY_ID"}


def test_every_password_comes_from_a_secret(every: Render) -> None:
    secret = {v.name for v in VARIABLES if v.secret}
    found, plain = 0, []
    for name, container in every.containers():
        for variable in container.get("env") or []:
            if variable["name"] in secret or CONFIDENTIAL.search(variable["name"]):
                found += 1
                if "secretKeyRef" not in variable.get("valueFrom", {}):
                    plain.append(f"{name}: {variable['name']}")
    assert plain == []
    assert found > 10


def test_no_config_map_holds_a_password(every: Render) -> None:
    assert [
        f"{o['metadata']['name']}: {key}"
        for o in every.of("ConfigMap")
        for key in o.get("data") or {}
        if CONFIDENTIAL.search(key)
    ] == []


def test_what_a_secret_holds_is_nowhere_else(every: Render) -> None:
    values = {v for data in every.secrets().values() for k, v in data.items() if k not in USER_NAMES}
    elsewhere = json.dumps([o for o in every.objects if o["kind"] != "Secret"])
    assert [value for value in values if value in elsewhere] == []


def test_two_platforms_have_no_password_in_common(rendered: Rendering) -> None:
    first, second = (rendered("celery", turn=turn).secrets() for turn in (1, 2))
    assert first.keys() == second.keys()
    values = {(name, key) for name, data in first.items() for key in data if key not in USER_NAMES}
    assert len(values) >= 10
    assert [f"{name}: {key}" for name, key in values if first[name][key] == second[name][key]] == []


def test_generated_passwords_are_long_and_of_letters_and_digits_alone(rendered: Rendering) -> None:
    for name, data in rendered("kind").secrets().items():
        for key, value in data.items():
            assert key in USER_NAMES or re.fullmatch(r"[A-Za-z0-9]{32}", value), f"{name}: {key}"


def test_the_values_files_hold_no_password(charts: Path) -> None:
    def scalars(value: object, path: str = "") -> list[tuple[str, object]]:
        if isinstance(value, dict):
            return [pair for k, v in value.items() for pair in scalars(v, f"{path}.{k}")]
        if isinstance(value, list):
            return [pair for i, v in enumerate(value) for pair in scalars(v, f"{path}[{i}]")]
        return [(path, value)]

    given = []
    for file in [*charts.glob("*/values.yaml"), *charts.glob("platform/values/*.yaml")]:
        for path, value in scalars(yaml.safe_load(file.read_text())):
            if re.search(r"(password|[^t]token|apikey)$", path, re.IGNORECASE) and value:
                given.append(f"{file.name}{path}")
    assert given == []


def test_existing_secrets_are_not_made(rendered: Rendering) -> None:
    assert rendered("production").of("Secret") == []
    assert "terrane-warehouse" not in rendered("kind", "credentials.warehouse.create=false").names("Secret")


def test_celery_reaches_its_own_redis_with_its_password(rendered: Rendering) -> None:
    secrets = rendered("celery").secrets()
    addresses = [urlsplit(secrets["terrane-celery"][f"DAGSTER_CELERY_{part}_URL"]) for part in ("BROKER", "BACKEND")]
    assert [(a.scheme, a.hostname, a.port, a.path) for a in addresses] == [
        ("redis", "terrane-broker", 6379, "/0"),
        ("redis", "terrane-broker", 6379, "/1"),
    ]
    assert {a.password for a in addresses} == {secrets["terrane-broker"]["BROKER_PASSWORD"]}
    for own, s3 in (("AWS_ACCESS_KEY_ID", "MINIO_ROOT_USER"), ("AWS_SECRET_ACCESS_KEY", "MINIO_ROOT_PASSWORD")):
        assert secrets["terrane-celery"][own] == secrets["terrane-s3"][s3]


def test_without_celery_there_is_nothing_of_its(rendered: Rendering) -> None:
    added = {(o["kind"], o["metadata"]["name"]) for o in rendered("celery").objects}
    added -= {(o["kind"], o["metadata"]["name"]) for o in rendered("kind").objects}
    assert {name for kind, name in added if kind == "Secret"} == {"terrane-celery", "terrane-broker"}
    assert {name for kind, name in added if kind == "StatefulSet"} == {"terrane-broker"}
    assert {name for kind, name in added if kind == "NetworkPolicy"} == {"terrane-broker"}


def test_celerys_redis_may_be_a_managed_one(rendered: Rendering) -> None:
    managed = rendered("celery", "broker.enabled=false", "celery.host=queue.example.com", "celery.port=6380")
    address = urlsplit(managed.secrets()["terrane-celery"]["DAGSTER_CELERY_BROKER_URL"])
    assert (address.hostname, address.port) == ("queue.example.com", 6380)
    assert "terrane-broker" not in {name for kind in ("StatefulSet", "Service") for name in managed.names(kind)}
