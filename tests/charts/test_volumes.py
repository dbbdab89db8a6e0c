"""What is to last is on a volume that lasts, and every volume is where it is written to."""

from __future__ import annotations

from typing import Any

import pytest
from tests.charts.conftest import Rendering
from tests.charts.rendering import AUTHORITIES, CERTIFICATES, LOCATIONS, Object, Render

pytestmark = pytest.mark.unit

# Where each store keeps what it has.
DATA = {
    "postgres": "/var/lib/postgresql/data",
    "postgis": "/var/lib/postgresql/data",
    "redis": "/data",
    "broker": "/data",
    "minio": "/data",
}
SIZES = {
    "kind": {"postgres": "2Gi", "postgis": "2Gi", "redis": "1Gi", "minio": "2Gi"},
    "default": {"postgres": "8Gi", "postgis": "8Gi", "redis": "2Gi", "minio": "20Gi"},
    "celery": {"postgres": "2Gi", "postgis": "2Gi", "redis": "1Gi", "minio": "2Gi", "broker": "1Gi"},
}
MEMORY = {"medium": "Memory", "sizeLimit": "256Mi"}
# What of a container's own file system is written to and goes with the pod.
SCRATCH: dict[str, Any] = {
    "postgres": {"run": {}, "tmp": {}, "memory": MEMORY},
    "postgis": {"run": {}, "tmp": {}, "memory": MEMORY},
    "redis": {"run": {"medium": "Memory", "sizeLimit": "1Mi"}},
    "broker": {"run": {"medium": "Memory", "sizeLimit": "1Mi"}},
    "minio": {"tmp": {}},
}
PATHS = {
    "postgres": {"run": "/var/run/postgresql", "tmp": "/tmp", "memory": "/dev/shm"},
    "redis": {"run": "/run/redis", "configuration": "/configuration"},
    "minio": {"tmp": "/tmp"},
}
PATHS |= {"postgis": PATHS["postgres"], "broker": PATHS["redis"]}


@pytest.mark.parametrize("profile", SIZES)
def test_a_stores_data_is_on_its_claim_and_outlives_the_release(profile: str, rendered: Rendering) -> None:
    render = rendered(profile)
    for store, size in SIZES[profile].items():
        pod = render.get("StatefulSet", f"terrane-{store}")["spec"]["template"]["spec"]
        claim = render.get("PersistentVolumeClaim", f"data-terrane-{store}-0")
        assert {v["name"]: v for v in pod["volumes"]}["data"] == {
            "name": "data",
            "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]},
        }
        for container in [*pod.get("initContainers", []), *(c for c in pod["containers"] if c["name"] != "pooler")]:
            mounts = {m["name"]: m for m in container["volumeMounts"]}
            assert mounts["data"] == {"name": "data", "mountPath": DATA[store]}
            beside = {name: m["mountPath"] for name, m in mounts.items() if name != "data"}
            assert beside.items() <= PATHS[store].items()
        main = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
        assert main == {"data": DATA[store], **PATHS[store]}
        assert {v["name"]: v["emptyDir"] for v in pod["volumes"] if "emptyDir" in v} == SCRATCH[store]
        assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert len(render.of("PersistentVolumeClaim")) == len(SIZES[profile])


def test_servers_are_told_to_keep_their_data_there(rendered: Rendering) -> None:
    celery = rendered("celery")
    for store in ("postgres", "postgis"):
        pod = celery.get("StatefulSet", f"terrane-{store}")["spec"]["template"]["spec"]
        for container in [*pod["initContainers"], pod["containers"][0]]:
            assert {"name": "PGDATA", "value": f"{DATA[store]}/pgdata"} in container["env"]
    for store, memory in (("redis", "512mb"), ("broker", "256mb")):
        lines = celery.get("ConfigMap", f"terrane-{store}")["data"]["redis.conf"].splitlines()
        assert sorted(lines) == [
            "appendfsync everysec",
            "appendonly yes",
            "bind * -::*",
            "dir /data",
            f"maxmemory {memory}",
            "maxmemory-policy noeviction",
            "protected-mode no",
            'save ""',
        ]
    (minio,) = celery.get("StatefulSet", "terrane-minio")["spec"]["template"]["spec"]["containers"]
    assert minio["args"] == ["server", "--quiet", "--address", ":9000", "/data"]


def test_every_volume_is_mounted_and_every_mount_has_its_volume(every: Render) -> None:
    wrong = []
    for owner, pod in every.pods():
        volumes = {v["name"] for v in pod.get("volumes") or []}
        mounted = {m["name"] for c in _containers(pod) for m in c.get("volumeMounts") or []}
        if volumes != mounted:
            wrong.append(f"{owner}: {sorted(volumes ^ mounted)}")
        for container in _containers(pod):
            paths = [m["mountPath"] for m in container.get("volumeMounts") or []]
            assert len(paths) == len(set(paths)), owner
    assert wrong == []


def test_dagsters_processes_read_this_releases_configuration(every: Render) -> None:
    for name in ("webserver", "daemon"):
        pod = every.get("Deployment", f"terrane-dagster-{name}")["spec"]["template"]["spec"]
        assert {v["name"]: v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v} == {
            "dagster-instance": "terrane-dagster-instance",
            "dagster-workspace-yaml": "terrane-dagster-workspace-yaml",
        }
        assert _mounts(pod) == {
            "/opt/dagster/dagster_home/dagster.yaml": ("dagster-instance", "dagster.yaml"),
            "/dagster-workspace/": ("dagster-workspace-yaml", None),
            "/tmp": ("tmp", None),
            "/opt/dagster/dagster_home": ("home", None),
            CERTIFICATES: ("authorities", None),
        }


def test_code_servers_write_to_scratch_alone(every: Render) -> None:
    for location in LOCATIONS:
        pod = every.location(location)["spec"]["template"]["spec"]
        assert pod["volumes"] == [{"name": "tmp", "emptyDir": {}}, {"name": "home", "emptyDir": {}}, AUTHORITIES]
        mounts = {"/tmp": ("tmp", None), "/opt/dagster/dagster_home": ("home", None)}
        assert _mounts(pod) == {**mounts, CERTIFICATES: ("authorities", None)}


def test_workers_read_the_configuration_of_their_queue(rendered: Rendering) -> None:
    celery = rendered("celery")
    for queue in ("dagster", "heavy"):
        pod = celery.get("Deployment", f"terrane-celery-workers-{queue}")["spec"]["template"]["spec"]
        maps = {v["name"]: v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v}
        assert maps == {
            "dagster-instance": "terrane-dagster-instance",
            "dagster-celery": f"terrane-dagster-celery-{queue}",
        }
        home = "/opt/dagster/dagster_home"
        assert _mounts(pod)[f"{home}/celery-config.yaml"] == ("dagster-celery", "celery.yaml")
        assert _mounts(pod)[f"{home}/dagster.yaml"] == ("dagster-instance", "dagster.yaml")


def _containers(pod: Object) -> list[Object]:
    return [*(pod.get("initContainers") or []), *pod["containers"]]


def _mounts(pod: Object) -> dict[str, tuple[str, str | None]]:
    return {m["mountPath"]: (m["name"], m.get("subPath")) for m in pod["containers"][0]["volumeMounts"]}
