"""What every container runs, with which variables, resources and rights, and how it is asked whether it is well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.rendering import LOCATIONS, PROFILES, Object, Render, profile_values

pytestmark = pytest.mark.unit

LOGS = {"AWS_ACCESS_KEY_ID": "terrane-s3/MINIO_ROOT_USER", "AWS_SECRET_ACCESS_KEY": "terrane-s3/MINIO_ROOT_PASSWORD"}
LAKE = {"MINIO_ROOT_USER": "terrane-s3/MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD": "terrane-s3/MINIO_ROOT_PASSWORD"}
DAGSTER = {"DAGSTER_PG_PASSWORD": "terrane-dagster/postgresql-password"}
WAREHOUSE = {"WAREHOUSE_PASSWORD": "terrane-warehouse/WAREHOUSE_PASSWORD"}
REDIS = {"REDIS_PASSWORD": "terrane-redis/REDIS_PASSWORD"}
# The variables of each container that come from a key of a Secret, as `<secret>/<key>`; by the end of its name.
FROM_SECRETS = {
    "terrane-dagster-webserver/dagster": {**DAGSTER, **LOGS},
    "terrane-dagster-webserver-read-only/dagster": {**DAGSTER, **LOGS},
    "terrane-dagster-daemon/dagster": {**DAGSTER, **LOGS},
    "terrane-celery-workers-dagster/dagster": DAGSTER,
    "terrane-celery-workers-heavy/dagster": DAGSTER,
    "terrane-feature-server/feature-server": {**WAREHOUSE, **REDIS},
    "terrane-source/source": {"API_KEY": "terrane-source/API_KEY"},
    "terrane-buckets/buckets": LAKE,
    "terrane-postgres/superuser": {"POSTGRES_PASSWORD": "terrane-postgres/postgres-password"},
    "terrane-postgres/postgres": {"POSTGRES_PASSWORD": "terrane-postgres/postgres-password"},
    "terrane-postgis/superuser": {"POSTGRES_PASSWORD": "terrane-postgis/postgres-password"},
    "terrane-postgis/postgres": {"POSTGRES_PASSWORD": "terrane-postgis/postgres-password"},
    "terrane-redis/redis": REDIS,
    "terrane-broker/redis": {"REDIS_PASSWORD": "terrane-broker/BROKER_PASSWORD"},
    "terrane-minio/minio": LAKE,
}  # fmt: skip
PROVISION = {
    "postgres": {
        "PGPASSWORD": "terrane-postgres/postgres-password",
        "PASSWORD_OF_DAGSTER": "terrane-dagster/postgresql-password",
        "PASSWORD_OF_WAREHOUSE": "terrane-warehouse/WAREHOUSE_PASSWORD",
    },
    "postgis": {
        "PGPASSWORD": "terrane-postgis/postgres-password",
        "PASSWORD_OF_SPATIAL": "terrane-spatial/POSTGRES_PASSWORD",
    },
}
EXECUTION = "terrane-execution-address"
# Whole ConfigMaps and Secrets, in their order.
SOURCES = {
    "terrane-dagster-webserver/dagster": ["terrane-dagster-webserver-env", "terrane-s3-address", EXECUTION],
    "terrane-dagster-webserver-read-only/dagster": ["terrane-dagster-webserver-env", "terrane-s3-address", EXECUTION],
    "terrane-dagster-daemon/dagster": ["terrane-dagster-daemon-env", "terrane-s3-address", EXECUTION],
    "terrane-feature-server/feature-server": ["terrane-warehouse-address", "terrane-redis-address", EXECUTION],
    "terrane-buckets/buckets": ["terrane-s3-address", EXECUTION],
}
# Where the values say what a container needs; by the end of its name.
RESOURCES = {
    "terrane-dagster-webserver/dagster": "dagster.dagsterWebserver.resources",
    "terrane-dagster-webserver-read-only/dagster": "dagster.dagsterWebserver.resources",
    "terrane-dagster-daemon/dagster": "dagster.dagsterDaemon.resources",
    "terrane-celery-workers-dagster/dagster": "dagster.runLauncher.config.celeryK8sRunLauncher.resources",
    "terrane-celery-workers-heavy/dagster": "dagster.runLauncher.config.celeryK8sRunLauncher.resources",
    "terrane-feature-server/feature-server": "featureServer.resources",
    "terrane-source/source": "source.sample.resources",
    "terrane-buckets/buckets": "hooks.buckets.resources",
}
POOLER_RESOURCES = {"requests": {"cpu": "20m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}}
# Where the values name a container's image; by the end of its name.
IMAGES = {
    "terrane-dagster-webserver/dagster": "dagster.dagsterWebserver.image",
    "terrane-dagster-webserver-read-only/dagster": "dagster.dagsterWebserver.image",
    "terrane-dagster-daemon/dagster": "dagster.dagsterDaemon.image",
    "terrane-dagster-daemon/run-pods": "dagster.dagsterDaemon.image",
    "terrane-celery-workers-dagster/dagster": "dagster.runLauncher.config.celeryK8sRunLauncher.image",
    "terrane-celery-workers-heavy/dagster": "dagster.runLauncher.config.celeryK8sRunLauncher.image",
    "terrane-feature-server/feature-server": "featureServer.image",
    "terrane-source/source": "source.sample.image",
    "terrane-buckets/buckets": "platformImage",
}
# Of stores, which have them in their own charts' values.
STORE_IMAGES = {
    "postgres": "docker.io/postgres:17",
    "postgis": "docker.io/terrane/postgis:dev",
    "redis": "docker.io/redis:8",
    "broker": "docker.io/redis:8",
    "minio": "docker.io/terrane/minio:dev",
}
INIT_RESOURCES = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}
PING = "REDISCLI_AUTH=$REDIS_PASSWORD redis-cli -h 127.0.0.1 ping | grep -q -e PONG"
READY = ["pg_isready", "-h", "127.0.0.1", "-U", "postgres"]
POOLER_READY = ["pg_isready", "-h", "127.0.0.1", "-p", "6432", "-U", "postgres"]
CODE = ["python", "-m", "terrane.pods.code_server"]


def _exec(command: list[str], **fields: int) -> Object:
    return {"exec": {"command": command}, **fields}


def _get(path: str, port: str | int, **fields: int) -> Object:
    return {"httpGet": {"path": path, "port": port}, **fields}


POSTGRES_PROBES = {
    "startupProbe": _exec(READY, periodSeconds=1, timeoutSeconds=5, failureThreshold=300),
    "readinessProbe": _exec(READY, periodSeconds=10, timeoutSeconds=10, failureThreshold=6),
    "livenessProbe": _exec(READY, periodSeconds=20, timeoutSeconds=5, failureThreshold=6),
}
POOLER_PROBES = {word: {**probe, "exec": {"command": POOLER_READY}} for word, probe in POSTGRES_PROBES.items()}
REDIS_PROBES = {
    "startupProbe": _exec(["sh", "-c", PING], periodSeconds=1, timeoutSeconds=5, failureThreshold=300),
    "readinessProbe": _exec(["sh", "-c", PING], periodSeconds=10, timeoutSeconds=10, failureThreshold=6),
    "livenessProbe": _exec(["sh", "-c", f"{PING} -e LOADING"], periodSeconds=20, timeoutSeconds=5, failureThreshold=6),
}
WEBSERVER_PROBES = {
    "startupProbe": _get("/server_info", 3001, periodSeconds=3, timeoutSeconds=10, failureThreshold=100),
    "readinessProbe": _get(
        "/server_info", 3001, periodSeconds=10, timeoutSeconds=10, failureThreshold=6, successThreshold=1
    ),
    "livenessProbe": _get("/server_info", 3001, periodSeconds=30, timeoutSeconds=10, failureThreshold=6),
}
WORKER_PROBES = {
    "livenessProbe": _exec(
        [
            "/bin/sh",
            "-c",
            "dagster-celery status -A dagster_celery_k8s.app -y /opt/dagster/dagster_home/celery-config.yaml"
            ' | grep "${HOSTNAME}:.*OK"',
        ],
        initialDelaySeconds=60,
        periodSeconds=60,
        timeoutSeconds=30,
        successThreshold=1,
        failureThreshold=3,
    )
}
LOCATION_PROBES = {
    "startupProbe": _exec([*CODE, "4000"], periodSeconds=3, timeoutSeconds=20, failureThreshold=40),
    "readinessProbe": _exec([*CODE, "--health", "4000"], periodSeconds=10, timeoutSeconds=10, failureThreshold=6),
}
PROBES = {
    "terrane-dagster-webserver/dagster": WEBSERVER_PROBES,
    "terrane-dagster-webserver-read-only/dagster": WEBSERVER_PROBES,
    "terrane-dagster-daemon/dagster": {
        "startupProbe": _exec(["test", "-e", "/tmp/migrated"], periodSeconds=3, failureThreshold=1200),
        "livenessProbe": _exec(
            ["dagster-daemon", "liveness-check"], periodSeconds=300, timeoutSeconds=60, failureThreshold=3
        ),
    },
    "terrane-dagster-daemon/run-pods": {
        "livenessProbe": _exec(
            ["sh", "-c", 'test -n "$(find /tmp/run-pods -mmin -5)"'],
            initialDelaySeconds=300,
            periodSeconds=60,
            timeoutSeconds=20,
            failureThreshold=5,
        )
    },
    "terrane-celery-workers-dagster/dagster": WORKER_PROBES,
    "terrane-celery-workers-heavy/dagster": WORKER_PROBES,
    **{f"-{name}/dagster-user-deployments": LOCATION_PROBES for name in LOCATIONS},
    "terrane-feature-server/feature-server": {
        "startupProbe": _get("/health", "http", periodSeconds=2, failureThreshold=90),
        "readinessProbe": _get("/ready", "http", periodSeconds=5, timeoutSeconds=5, failureThreshold=3),
        "livenessProbe": _get("/health", "http", periodSeconds=15, timeoutSeconds=5),
    },
    "terrane-source/source": {"readinessProbe": _get("/health", "http", periodSeconds=2)},
    "terrane-postgres/postgres": POSTGRES_PROBES,
    "terrane-postgres/pooler": POOLER_PROBES,
    "terrane-postgis/postgres": POSTGRES_PROBES,
    "terrane-redis/redis": REDIS_PROBES,
    "terrane-broker/redis": REDIS_PROBES,
    "terrane-minio/minio": {
        "startupProbe": _get("/minio/health/live", "minio", periodSeconds=1, failureThreshold=120),
        "readinessProbe": _get("/minio/health/ready", "minio", periodSeconds=10, timeoutSeconds=10, failureThreshold=6),
        "livenessProbe": _get("/minio/health/live", "minio", periodSeconds=20, timeoutSeconds=5, failureThreshold=6),
    },
}
CODE_SERVER = "dagster code-server start -h 0.0.0.0 -p 4000 -m"
WEBSERVER = "dagster-webserver -h 0.0.0.0 -p 3001 -w /dagster-workspace/workspace.yaml --db-pool-recycle 3600"
WORKER = "worker start -A dagster_celery_k8s.app -y /opt/dagster/dagster_home/celery-config.yaml -q"
COMMANDS: dict[str, tuple[list[str] | None, list[str] | None]] = {
    "terrane-dagster-webserver/dagster": (["/bin/bash", "-c", WEBSERVER], None),
    "terrane-dagster-webserver-read-only/dagster": (["/bin/bash", "-c", f"{WEBSERVER} --read-only"], None),
    "terrane-dagster-daemon/run-pods": (["python", "-m", "terrane.pods.run_pods"], None),
    **{
        f"terrane-celery-workers-{queue}/dagster": (
            ["dagster-celery"],
            [*WORKER.split(), queue, "--", "--without-mingle", "--without-gossip"],
        )
        for queue in ("dagster", "heavy")
    },
    **{
        f"-{name}/dagster-user-deployments": (
            None,
            [*CODE_SERVER.split(), f"{name}.definitions", "--location-name", name],
        )
        for name in LOCATIONS
    },
    "terrane-feature-server/feature-server": (
        ["python", "-m", "terrane_features.server", "--host", "0.0.0.0", "--port", "6566"],
        None,
    ),
    "terrane-postgres/postgres": (None, ["-c", "max_connections=200", "-c", "shared_buffers=128MB"]),
    "terrane-postgis/postgres": (None, ["-c", "max_connections=200", "-c", "shared_buffers=128MB"]),
    "terrane-postgres/pooler": (None, ["/configuration/pgbouncer.ini"]),
    "terrane-redis/redis": (["sh", "/configuration/start.sh"], None),
    "terrane-broker/redis": (["sh", "/configuration/start.sh"], None),
}
CONFINED_POD = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "runAsGroup": 1000,
    "fsGroup": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONFINED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def test_every_password_comes_from_the_key_that_holds_it(every: Render, profile: str, charts: Path) -> None:
    expected = _for_all(FROM_SECRETS, every)
    # What a location is given is in the list of locations.
    for entry in _entries(charts):
        own = {v["name"]: "{name}/{key}".format(**v["valueFrom"]["secretKeyRef"]) for v in entry["env"]}
        expected[_code_server(entry["name"])] = {**DAGSTER, **own}
    for store, given in PROVISION.items():
        for name, _ in every.containers():
            if name.startswith(f"Job/terrane-{store}-"):
                expected[name] = given
    found = {}
    for name, container in every.containers():
        variables = {v["name"]: v["valueFrom"] for v in container.get("env") or [] if "valueFrom" in v}
        assert all(origin.keys() == {"secretKeyRef"} for origin in variables.values()), name
        references = {k: o["secretKeyRef"] for k, o in variables.items()}
        if references:
            # The keys of the object store may lack, where a workload has an identity in their place.
            for reference in references.values():
                optional = reference.get("optional", False)
                assert reference.keys() - {"optional"} == {"name", "key"}, name
                assert not optional or reference["name"] == "terrane-s3", name
            found[name] = {k: f"{r['name']}/{r['key']}" for k, r in references.items()}
    assert found == expected
    if profile != "production":
        held = {f"{name}/{key}" for name, data in every.secrets().items() for key in data}
        assert {reference for given in found.values() for reference in given.values()} <= held


def test_every_variable_from_elsewhere_comes_from_where_it_is(every: Render, profile: str, charts: Path) -> None:
    expected = _for_all(SOURCES, every)
    shared = "terrane-dagster-user-deployments-user-deployments-shared-env"
    celery = ["terrane-celery"] if profile == "celery" else []
    for entry in _entries(charts):
        own = [
            f"terrane-dagster-user-deployments-{entry['name']}-user-env",
            *(m["name"] for m in entry["envConfigMaps"]),
        ]
        # The last is optional: there is none without Celery.
        expected[_code_server(entry["name"])] = [shared, *own, "terrane-celery"]
    for name in expected:
        if "webserver" in name or "daemon" in name:
            expected[name] = [*expected[name], *celery]
    if profile == "production":
        served = "Deployment/terrane-feature-server/feature-server"
        expected[served] = [*expected[served], "feature-keys"]
    found = {
        name: [next(iter(s.values()))["name"] for s in container["envFrom"]]
        for name, container in every.containers()
        if container.get("envFrom") and "celery-workers" not in name
    }
    assert found == expected


@pytest.mark.parametrize("profile", PROFILES)
def test_every_container_has_the_resources_that_the_values_give_it(
    profile: str, rendered: Rendering, charts: Path
) -> None:
    render, values = rendered(profile), _values(charts, profile)
    paths = _for_all(RESOURCES, render)
    listed = values["dagster"]["dagster-user-deployments"]["deployments"]
    for name, container in render.containers():
        own = container.get("resources")
        if name in paths:
            given: Any = values
            for key in paths[name].split("."):
                given = given[key]
            assert own == given, name
        elif name.endswith("/dagster-user-deployments"):
            (entry,) = [e for e in listed if name.split("/")[1].endswith(f"-{e['name']}")]
            assert own == entry["resources"], name
        elif name.endswith("/run-pods"):
            assert own == {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
        elif "init-user-deployment" in name or ("check-db-ready" in name and "celery" not in name):
            assert own == INIT_RESOURCES, name
        elif name.endswith("/pooler"):
            assert own == POOLER_RESOURCES
        elif name.startswith("StatefulSet/"):
            store = name.split("/")[1].removeprefix("terrane-")
            chart = {"postgis": "postgres", "broker": "redis"}.get(store, store)
            defaults = yaml.load((charts / chart / "values.yaml").read_text(), Loader=yaml.CSafeLoader)["resources"]
            assert own == _joined(defaults, values[store].get("resources", {})), name


@pytest.mark.parametrize("profile", ["default", "kind", "celery"])
def test_every_container_has_the_image_that_the_values_name(profile: str, rendered: Rendering, charts: Path) -> None:
    render, values = rendered(profile), _values(charts, profile)
    paths = _for_all(IMAGES, render)
    for name, container in render.containers():
        image, owner = container["image"], name.split("/")[1]
        if name in paths:
            given: Any = values
            for key in paths[name].split("."):
                given = given[key]
            registry = f"{given['registry']}/" if "registry" in given else ""
            assert image == f"{registry}{given['repository']}:{given['tag']}", name
        elif name.endswith("/dagster-user-deployments"):
            assert image == f"terrane/{owner.removeprefix('terrane-dagster-user-deployments-')}:dev"
        elif "init-user-deployment" in name:
            assert image == "docker.io/library/busybox:1.28"
        elif "check-db-ready" in name:
            assert image == "docker.io/library/postgres:17"
        elif name.endswith("/pooler"):
            assert image == "docker.io/terrane/pgbouncer:dev"
        else:
            assert image == STORE_IMAGES[owner.split("-")[1]], name
        # The chart gives those that wait for a name no policy.
        policy = None if "init-user-deployment" in name else "IfNotPresent"
        assert container.get("imagePullPolicy") == policy, name


def test_every_long_lived_container_is_asked_whether_it_is_well(every: Render) -> None:
    words = ("startupProbe", "readinessProbe", "livenessProbe")
    found = {
        name: {word: container[word] for word in words if word in container}
        for name, container in every.containers()
        if name.startswith(("Deployment/", "StatefulSet/"))
        and name.rsplit("/", 1)[1] not in ("superuser", "check-db-ready")
        and "init-user-deployment" not in name
    }
    assert found == _for_all(PROBES, every)
    # And none that has ended.
    others = [c for name, c in every.containers() if name not in found]
    assert [word for container in others for word in words if word in container] == []


def test_every_container_runs_what_it_is_for(every: Render) -> None:
    expected = _for_all(COMMANDS, every)
    assert len(expected) >= 6
    containers = dict(every.containers())
    assert {n: (containers[n].get("command"), containers[n].get("args")) for n in expected} == expected
    server = every.get("Deployment", "terrane-feature-server")["spec"]["template"]["spec"]["containers"][0]
    assert server["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    for store in ("postgres", "postgis"):
        if f"terrane-{store}" in every.names("StatefulSet"):
            pod = every.get("StatefulSet", f"terrane-{store}")["spec"]["template"]["spec"]
            stop = ["sh", "-c", "kill -INT 1; while kill -0 1 2>/dev/null; do sleep 0.2; done"]
            assert pod["containers"][0]["lifecycle"] == {"preStop": {"exec": {"command": stop}}}


def test_what_starts_waits_for_what_it_needs(every: Render, profile: str) -> None:
    host = "warehouse.example.com" if profile == "production" else "terrane-postgres-pooler"
    waits = f'until pg_isready -h "{host}" -p 5432 -U dagster; do echo waiting for database; sleep 2; done;'
    waiting = ["dagster-webserver", "dagster-daemon"]
    waiting += ["dagster-webserver-read-only"] if profile == "production" else []
    for name in waiting:
        pod = every.get("Deployment", f"terrane-{name}")["spec"]["template"]["spec"]
        database, *locations = pod["initContainers"]
        assert database["command"] == ["sh", "-c", waits]
        for location, container in zip(LOCATIONS, locations, strict=True):
            told = f"until nslookup {location}; do echo waiting for user service; sleep 2; done"
            assert container["command"] == ["sh", "-c", told]
    if profile == "celery":
        for queue in ("dagster", "heavy"):
            pod = every.get("Deployment", f"terrane-celery-workers-{queue}")["spec"]["template"]["spec"]
            assert [c["command"] for c in pod["initContainers"]] == [["sh", "-c", waits]]


def test_every_pod_is_confined_in_the_same_way(every: Render) -> None:
    for owner, pod in every.pods():
        chart = pod["securityContext"]
        expected = dict(CONFINED_POD)
        if any(store in owner for store in ("postgres", "postgis", "redis", "broker")):
            expected |= {"runAsUser": 999, "runAsGroup": 999, "fsGroup": 999}
        more = {"fsGroupChangePolicy": "OnRootMismatch"} if "dagster-" not in owner and "celery" not in owner else {}
        assert chart == {**expected, **more}, owner
        for container in [*(pod.get("initContainers") or []), *pod["containers"]]:
            assert container["securityContext"] == CONFINED, f"{owner}/{container['name']}"
            assert container.get("imagePullPolicy", "IfNotPresent") == "IfNotPresent"


def test_pods_end_in_time_and_take_turns(every: Render, profile: str) -> None:
    for o in every.of("Deployment"):
        name, spec = o["metadata"]["name"], o["spec"]
        both = {f"terrane-dagster-webserver{end}": 2 for end in ("", "-read-only")}
        replicas = both if profile == "production" else {}
        if not (profile == "production" and name == "terrane-feature-server"):
            assert spec["replicas"] == replicas.get(name, 1), name
        if "user-deployments" in name or name == "terrane-feature-server":
            # The one before answers until the next is ready.
            turns = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
            assert spec["strategy"] == turns, name
    for o in every.of("StatefulSet"):
        assert o["spec"]["replicas"] == 1
        assert o["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 60, o["metadata"]["name"]


def test_each_pod_has_the_account_of_its_kind_and_only_those_that_need_it_its_token(every: Render) -> None:
    for owner, pod in every.pods():
        account, token = pod.get("serviceAccountName"), pod.get("automountServiceAccountToken")
        if "user-deployments" in owner:
            assert (account, token) == ("terrane-dagster-user-deployments-user-deployments", True), owner
        elif "dagster-" in owner or "celery" in owner:
            assert (account, token) == ("terrane-dagster", True), owner
        else:
            assert (account, token) == (None, False), owner
    for account in every.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    assert every.names("ServiceAccount") == {"terrane-dagster", "terrane-dagster-user-deployments-user-deployments"}


def test_accounts_may_make_and_end_jobs_and_pods_and_nothing_else(every: Render) -> None:
    everything = sorted(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"])
    reading = ["get", "list", "watch"]
    rules = [
        (["batch"], ["jobs"], everything),
        (["batch"], ["jobs/status"], reading),
        ([""], ["events", "pods"], everything),
        ([""], ["pods/log", "pods/status"], reading),
    ]
    assert every.names("Role") == {"terrane-dagster-role", "terrane-dagster-user-deployments-role"}
    for role in every.of("Role"):
        assert [(r["apiGroups"], sorted(r["resources"]), sorted(r["verbs"])) for r in role["rules"]] == rules
    bound = {
        b["roleRef"]["name"]: (b["roleRef"]["kind"], b["roleRef"]["apiGroup"], b["subjects"])
        for b in every.of("RoleBinding")
    }
    group = "rbac.authorization.k8s.io"
    names = {
        "terrane-dagster-role": "terrane-dagster",
        "terrane-dagster-user-deployments-role": "terrane-dagster-user-deployments-user-deployments",
    }
    assert bound == {
        role: ("Role", group, [{"kind": "ServiceAccount", "name": account}]) for role, account in names.items()
    }


def test_variables_that_are_no_secrets_are_as_their_readers_want_them(every: Render, profile: str) -> None:
    found = {
        name: {v["name"]: v["value"] for v in container.get("env") or [] if "value" in v}
        for name, container in every.containers()
    }
    for name, own in found.items():
        if name.endswith("/dagster-user-deployments"):
            image = dict(every.containers())[name]["image"]
            assert own.keys() == {"DAGSTER_CURRENT_IMAGE", "DAGSTER_CONTAINER_CONTEXT"}
            assert own["DAGSTER_CURRENT_IMAGE"] == image
            assert json.loads(own["DAGSTER_CONTAINER_CONTEXT"])["k8s"]["namespace"] == "terrane"
        elif name == "Deployment/terrane-dagster-daemon/dagster":
            assert own == {"DAGSTER_DAEMON_HEARTBEAT_TOLERANCE": "1800"}
        elif name == "Deployment/terrane-dagster-daemon/run-pods":
            assert own == {"UI_URL": "http://terrane-dagster-webserver:3001"}
        elif name.startswith("Job/terrane-postg"):
            store = name.split("-")[1].split("/")[0]
            server = {"PGHOST": f"terrane-{store}", "PGPORT": "5432", "SERVER": f"terrane-{store}-headless"}
            assert own == {**server, "PATIENCE_S": "270"}, name
        elif name.endswith("/postgres"):
            data = "/var/lib/postgresql/data/pgdata"
            assert own == {"PGDATA": data, "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256"}
        elif name.endswith("/superuser"):
            assert own == {"PGDATA": "/var/lib/postgresql/data/pgdata"}
        elif name.endswith("/minio"):
            assert own == {"MINIO_BROWSER": "off", "HOME": "/tmp"}
        elif name.endswith("/redis"):
            assert own == {"RUN": "/run/redis"}
        else:
            assert own == {}, name


def _for_all(by_end: dict[str, Any], render: Render) -> dict[str, Any]:
    """The same by the whole names of the containers that a render has."""
    found = {}
    for name, _ in render.containers():
        ends = [end for end in by_end if name.endswith(end) and (end.startswith("-") or f"/{end}" in name)]
        if ends:
            found[name] = by_end[max(ends, key=len)]
    return found


def _code_server(location: str) -> str:
    return f"Deployment/terrane-dagster-user-deployments-{location}/dagster-user-deployments"


def _entries(charts: Path) -> list[dict[str, Any]]:
    """The list of locations."""
    listed = yaml.load((charts / "platform/values/locations.yaml").read_text(), Loader=yaml.CSafeLoader)
    return listed["dagster"]["dagster-user-deployments"]["deployments"]


def _values(charts: Path, profile: str) -> dict[str, Any]:
    """The values of a profile, laid over the chart's own."""
    files = [charts / "platform/values.yaml", *profile_values(charts, profile)]
    return _joined(*(yaml.load(file.read_text(), Loader=yaml.CSafeLoader) for file in files))


def _joined(*layers: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = _joined(result[key], value) if both else value
    return result
