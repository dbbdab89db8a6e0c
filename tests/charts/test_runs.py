"""dagster.yaml as Dagster reads it, and the pods that Dagster makes of it for runs."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path
from typing import Any, cast

import kubernetes
import kubernetes_validate
import pytest
import yaml
from dagster import DagsterRun
from dagster._config import process_config, resolve_to_config_type
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster_celery_k8s import CeleryK8sRunLauncher
from dagster_k8s import K8sRunLauncher
from dagster_k8s.job import construct_dagster_k8s_job
from tests.charts.conftest import Rendering
from tests.charts.rendering import Object, Render

from terrane_cli.locations.description import Need, read_location
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

CONFIGURABLE = ("run_launcher", "run_storage", "event_storage", "schedule_storage", "run_coordinator", "compute_logs")
# Of each need that a location.yaml names: passwords with their Secrets, and addresses.
PASSWORDS = {
    Need.WAREHOUSE: {"WAREHOUSE_PASSWORD": "terrane-warehouse"},
    Need.SPATIAL: {"POSTGRES_PASSWORD": "terrane-spatial"},
    Need.ONLINE_STORE: {"REDIS_PASSWORD": "terrane-redis"},
    Need.LAKE: {"MINIO_ROOT_USER": "terrane-s3", "MINIO_ROOT_PASSWORD": "terrane-s3"},
    Need.SOURCE: {"API_KEY": "terrane-source"},
    Need.FEATURE_SERVER: {},
}
ADDRESSES = {
    Need.WAREHOUSE: {"WAREHOUSE_HOST"},
    Need.SPATIAL: {"POSTGRES_HOST", "POSTGRES_LEDGER_DB"},
    Need.ONLINE_STORE: {"REDIS_HOST", "REDIS_DB"},
    Need.LAKE: {"MINIO_ENDPOINT"},
    Need.SOURCE: {"SOURCE_API_URL", "INGESTION_START_DATE"},
    Need.FEATURE_SERVER: {"FEATURE_SERVER_URL"},
}
EVERYWHERE = {
    "MINIO_ENDPOINT",
    "AWS_ENDPOINT_URL_S3",
    "AWS_DEFAULT_REGION",
    "TERRANE_EXECUTOR",
    "TERRANE_BROKEN_DEFINITIONS",
    "TERRANE_ENVIRONMENT",
    "TERRANE_AUTOMATION",
    "COMPUTE_LOGS_BUCKET",
    "COMPUTE_LOGS_PREFIX",
}


@pytest.fixture(autouse=True)
def _inside_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pods of webserver and daemon have: the API's address, which nobody calls here, and these variables."""
    monkeypatch.setattr(kubernetes.config, "load_incluster_config", lambda: None)
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "p")
    monkeypatch.setenv("COMPUTE_LOGS_BUCKET", "compute-logs")
    monkeypatch.setenv("COMPUTE_LOGS_PREFIX", "runs")
    monkeypatch.setenv("DAGSTER_CELERY_BROKER_URL", "redis://redis/1")
    monkeypatch.setenv("DAGSTER_CELERY_BACKEND_URL", "redis://redis/2")
    monkeypatch.setenv("DAGSTER_K8S_PIPELINE_RUN_ENV_CONFIGMAP", "terrane-dagster-pipeline-env")


def test_dagster_takes_every_line_of_its_configuration(every: Render, tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(every.instance())
    # Refuses keys it does not know, and limits that are set twice.
    dagster_instance_config(str(tmp_path))
    ref = InstanceRef.from_dir(str(tmp_path))
    for part in CONFIGURABLE:
        data = getattr(ref, f"{part}_data")
        cls = getattr(importlib.import_module(data.module_name), data.class_name)
        done = process_config(resolve_to_config_type(cls.config_type()), data.config_dict)
        assert done.success, f"{part}: {[e.message for e in done.errors or []]}"


@pytest.mark.parametrize("profile", ["kind", "celery"])
def test_whatever_loads_the_instance_has_every_variable_that_it_names(profile: str, rendered: Rendering) -> None:
    render = rendered(profile)
    named = set(re.findall(r"\benv: (\w+)", render.instance()))
    assert "DAGSTER_PG_PASSWORD" in named
    loading = [
        c for _, c in render.containers() if any(m["name"] == "dagster-instance" for m in c.get("volumeMounts", []))
    ]
    for container in loading:
        own = {v["name"] for v in container["env"]}
        missing = named - own - _addressed(render, container) - _given_by_secrets(render, container)
        assert missing == set(), container["name"]
    assert len(loading) == {"kind": 2, "celery": 4}[profile]


def test_one_location_cannot_take_every_place_for_runs(every: Render) -> None:
    limits = every.configuration()["concurrency"]
    assert limits["pools"]["default_limit"] == 1
    per_location = next(x for x in limits["runs"]["tag_concurrency_limits"] if x["key"] == "dagster/code_location")
    assert per_location["value"] == {"applyLimitPerUniqueValue": True}
    assert per_location["limit"] < limits["runs"]["max_concurrent_runs"]


def test_lost_runs_are_found_and_run_again_and_nobody_is_told(every: Render) -> None:
    config = every.configuration()
    assert config["run_monitoring"]["enabled"]
    assert config["run_monitoring"]["max_resume_run_attempts"] == 0
    assert config["run_retries"] == {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}
    assert config["telemetry"] == {"enabled": False}
    assert set(config["retention"]) == {"sensor", "schedule", "auto_materialize"}


def test_compute_logs_go_where_everything_else_goes(rendered: Rendering) -> None:
    addresses = rendered("production").get("ConfigMap", "terrane-s3-address")["data"]
    assert (
        addresses.items()
        >= {
            "MINIO_ENDPOINT": "https://s3.example.com",
            "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "COMPUTE_LOGS_BUCKET": "example-compute-logs",
            "COMPUTE_LOGS_PREFIX": "one/team/runs",
        }.items()
    )
    kind = rendered("kind")
    assert kind.get("ConfigMap", "terrane-s3-address")["data"]["AWS_ENDPOINT_URL_S3"] == "http://terrane-minio:9000"
    for name in ("terrane-dagster-webserver", "terrane-dagster-daemon"):
        container = kind.get("Deployment", name)["spec"]["template"]["spec"]["containers"][0]
        assert {"configMapRef": {"name": "terrane-s3-address"}} in container["envFrom"]
        assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= {v["name"] for v in container["env"]}


@pytest.mark.parametrize("profile", ["default", "kind", "production"])
def test_runs_get_what_their_location_has(profile: str, rendered: Rendering, project: Project, tmp_path: Path) -> None:
    render = rendered(profile)
    for location in project.locations:
        job = _run_of(render, location, tmp_path)
        pod, container = _pod(job), _pod(job)["containers"][0]
        server = render.location(location)["spec"]["template"]["spec"]
        assert container["image"] == server["containers"][0]["image"]
        assert f"terrane/{location}:" in container["image"]
        assert pod["serviceAccountName"] == server["serviceAccountName"]
        assert pod["serviceAccountName"] in render.names("ServiceAccount")
        secrets = {
            v["name"]: v["valueFrom"]["secretKeyRef"]["name"]
            for v in container["env"]
            if "secretKeyRef" in v.get("valueFrom", {})
        }
        logs = {"AWS_ACCESS_KEY_ID": "terrane-s3", "AWS_SECRET_ACCESS_KEY": "terrane-s3"}
        needs = read_location(project, location).needs
        wanted = {variable: secret for need in needs for variable, secret in PASSWORDS[need].items()}
        expected = {**wanted, **logs, "DAGSTER_PG_PASSWORD": "terrane-dagster"}
        assert secrets.items() >= expected.items()
        # And of the others' nothing.
        others = {name for passwords in PASSWORDS.values() for name in passwords} - wanted.keys()
        assert others & secrets.keys() == set()
        addresses = {name for need in needs for name in ADDRESSES[need]} | EVERYWHERE
        beyond = {name for named in ADDRESSES.values() for name in named} - addresses
        assert _addressed(render, container) >= addresses
        assert beyond & _addressed(render, container) == set()


@pytest.mark.parametrize("profile", ["default", "kind", "production"])
def test_run_pods_are_such_as_kubernetes_and_its_owners_want(
    profile: str, rendered: Rendering, project: Project, tmp_path: Path
) -> None:
    for location in project.locations:
        job = _run_of(rendered(profile), location, tmp_path)
        kubernetes_validate.validate(job, "1.34", strict=True)
        pod, container = _pod(job), _pod(job)["containers"][0]
        assert job["spec"]["ttlSecondsAfterFinished"] == 3600
        assert pod["terminationGracePeriodSeconds"] == 120
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        assert container["imagePullPolicy"] == "IfNotPresent"
        volumes = Counter(v["name"] for v in pod["volumes"])
        mounts = Counter(m["mountPath"] for m in container["volumeMounts"])
        # Launcher and location both name them.
        assert max(volumes.values()) == max(mounts.values()) == 1
        assert {"/tmp", "/opt/dagster/dagster_home"} <= mounts.keys()
        assert {m["name"] for m in container["volumeMounts"]} <= volumes.keys()


def test_runs_of_celery_get_what_every_location_has(rendered: Rendering, project: Project, tmp_path: Path) -> None:
    render = rendered("celery")
    launcher = _launcher(render, tmp_path)
    assert isinstance(launcher, CeleryK8sRunLauncher)
    config = launcher.get_k8s_job_config("terrane/any:dev", {})
    made = construct_dagster_k8s_job(config, args=["dagster"], job_name="run", pod_name="run", component="run_worker")
    job = _as_object(made)
    kubernetes_validate.validate(job, "1.34", strict=True)
    container = _pod(job)["containers"][0]
    given = _given_by_secrets(render, container)
    needs = {need for location in project.locations for need in read_location(project, location).needs}
    passwords = {name for need in needs for name in PASSWORDS[need]}
    celery = {"DAGSTER_CELERY_BROKER_URL", "DAGSTER_CELERY_BACKEND_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert given >= passwords | celery
    wanted = {name for need in needs for name in ADDRESSES[need]}
    assert _addressed(render, container) >= wanted | EVERYWHERE
    instance = set(re.findall(r"\benv: (\w+)", render.instance()))
    own = {v["name"] for v in container["env"]}
    assert instance - own - given - _addressed(render, container) == set()
    assert render.get("ConfigMap", "terrane-execution-address")["data"]["TERRANE_EXECUTOR"] == "celery_k8s"
    assert _pod(job)["serviceAccountName"] in render.names("ServiceAccount")


def test_celery_has_a_worker_a_queue_and_waits_longer_than_a_step_may_last(rendered: Rendering) -> None:
    render = rendered("celery")
    workers = [o for o in render.of("Deployment") if "celery-workers" in o["metadata"]["name"]]
    commands = [o["spec"]["template"]["spec"]["containers"][0]["args"] for o in workers]
    assert sorted(args[args.index("-q") + 1] for args in commands) == ["dagster", "heavy"]
    maps = [render.get("ConfigMap", f"terrane-dagster-celery-{queue}") for queue in ("dagster", "heavy")]
    found = [yaml.safe_load(m["data"]["celery.yaml"])["execution"]["celery"]["config_source"] for m in maps]
    assert [source["worker_concurrency"] for source in found] == [4, 1]
    assert all(source["broker_transport_options"]["visibility_timeout"] > 24 * 3600 for source in found)
    assert [o for o in render.of("Deployment") if "flower" in o["metadata"]["name"]] == []


def _run_of(render: Render, location: str, folder: Path) -> Object:
    """The Job that the launcher of a render makes for a run of a location."""
    launcher = _launcher(render, folder)
    assert isinstance(launcher, K8sRunLauncher)
    server = render.location(location)["spec"]["template"]["spec"]["containers"][0]
    origin = RepositoryPythonOrigin(
        executable_path="python",
        code_pointer=ModuleCodePointer(f"{location}.definitions", "defs"),
        container_image=next(v["value"] for v in server["env"] if v["name"] == "DAGSTER_CURRENT_IMAGE"),
        container_context=render.container_context(location),
    )
    run = DagsterRun(job_name="job", job_code_origin=JobPythonOrigin("job", origin))
    context = launcher.get_container_context_for_run(run)
    made = construct_dagster_k8s_job(
        context.get_k8s_job_config(origin.container_image, launcher),
        args=["dagster", "api", "execute_run"],
        job_name="run",
        pod_name="run",
        component="run_worker",
        user_defined_k8s_config=context.run_k8s_config,
    )
    return _as_object(made)


def _as_object(job: kubernetes.client.V1Job) -> Object:
    return cast("Object", kubernetes.client.ApiClient().sanitize_for_serialization(job))


def _launcher(render: Render, folder: Path) -> Any:
    (folder / "dagster.yaml").write_text(render.instance())
    data = InstanceRef.from_dir(str(folder)).run_launcher_data
    assert data
    return data.rehydrate(as_type=object)


def _pod(job: Object) -> Object:
    return job["spec"]["template"]["spec"]


def _addressed(render: Render, container: Object) -> set[str]:
    """The variables that a container has from ConfigMaps of the release."""
    names = [s["configMapRef"]["name"] for s in container["envFrom"] if "configMapRef" in s]
    return {key for name in names for key in render.get("ConfigMap", name).get("data") or {}}


def _given_by_secrets(render: Render, container: Object) -> set[str]:
    names = [s["secretRef"]["name"] for s in container["envFrom"] if "secretRef" in s]
    return {key for name in names if name in render.names("Secret") for key in render.get("Secret", name)["data"]}
