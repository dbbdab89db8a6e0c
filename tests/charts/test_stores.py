"""A store that is switched off leaves nothing, and the address of the one in its place reaches everybody."""

from __future__ import annotations

import re

import pytest
from tests.charts.conftest import Rendering
from tests.charts.rendering import Object, Render

pytestmark = pytest.mark.unit

OFF = {
    "postgres": ("warehouse.host=db.example.com", "dagster.postgresql.postgresqlHost=db.example.com"),
    "postgis": ("spatial.host=db.example.com",),
    "redis": ("onlineStore.host=db.example.com",),
    "minio": ("s3.endpoint=https://db.example.com",),
}
USERS = {
    "postgres": {"terrane-warehouse-address": "WAREHOUSE_HOST"},
    "postgis": {"terrane-spatial-address": "POSTGRES_HOST"},
    "redis": {"terrane-redis-address": "REDIS_HOST"},
    "minio": {"terrane-s3-address": "MINIO_ENDPOINT"},
}


@pytest.mark.parametrize("store", OFF)
def test_a_store_that_is_off_leaves_no_object(store: str, rendered: Rendering) -> None:
    on, off = rendered("kind"), rendered("kind", f"{store}.enabled=false", *OFF[store])
    assert {kind for kind, _ in _of_store(on, store)} >= {"StatefulSet", "Service", "NetworkPolicy"}
    assert _of_store(off, store) == set()
    others = set(OFF) - {store}
    assert all(_of_store(off, other) == _of_store(on, other) for other in others)


@pytest.mark.parametrize("store", OFF)
def test_the_address_in_its_place_reaches_everybody(store: str, rendered: Rendering) -> None:
    off = rendered("kind", f"{store}.enabled=false", *OFF[store])
    for config_map, key in USERS[store].items():
        assert "db.example.com" in off.get("ConfigMap", config_map)["data"][key]
    # Nothing still speaks of the store of the chart.
    address = re.compile(rf"terrane-{store}(?!-address|[\w])")
    assert [text for text in _addresses(off) if address.search(text)] == []
    assert [text for text in _addresses(rendered("kind")) if address.search(text)] != []


def test_a_managed_database_is_waited_for_and_written_to_by_dagster(rendered: Rendering) -> None:
    production = rendered("production")
    assert production.instance().count("warehouse.example.com") == 3
    waits = [c["command"][-1] for name, c in production.containers() if name.endswith("/check-db-ready")]
    assert len(waits) == 3
    assert all("warehouse.example.com" in command for command in waits)


def test_with_every_store_managed_no_volume_is_claimed(rendered: Rendering) -> None:
    assert rendered("production").of("StatefulSet", "PersistentVolumeClaim") == []
    claims = rendered("kind").names("PersistentVolumeClaim")
    assert claims == {f"data-terrane-{store}-0" for store in ("postgres", "postgis", "redis", "minio")}


def test_stores_hear_only_from_their_namespace(rendered: Rendering) -> None:
    for policy in rendered("kind").of("NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress"]
        assert [rule["from"] for rule in policy["spec"]["ingress"]] == [[{"podSelector": {}}]]
    assert rendered("kind", "networkPolicy.enabled=false").of("NetworkPolicy") == []


def _of_store(render: Render, store: str) -> set[tuple[str, str]]:
    return {
        (o["kind"], o["metadata"]["name"])
        for o in render.objects
        if o["metadata"].get("labels", {}).get("app.kubernetes.io/name") in (store, f"terrane-{store}")
        and o["kind"] != "Secret"
        and not o["metadata"]["name"].endswith("-address")
    }


def _addresses(render: Render) -> list[str]:
    """Every text that may hold an address: what ConfigMaps hold, and the variables and words of containers."""
    texts = [text for o in render.of("ConfigMap") for text in (o.get("data") or {}).values()]
    for _, container in render.containers():
        texts += [*(container.get("command") or []), *(container.get("args") or [])]
        texts += [v["value"] for v in container.get("env") or [] if _is_address(v)]
    return texts


def _is_address(variable: Object) -> bool:
    # A container context names Secrets, some of which are called as their store is.
    return "value" in variable and variable["name"] != "DAGSTER_CONTAINER_CONTEXT"
