"""What ConfigMaps hold, and what scales and shields pods: as those who read it want it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.rendering import AUTHORITIES, AUTHORITIES_MOUNT, CERTIFICATES, LOCATIONS, Render

pytestmark = pytest.mark.unit

GIVEN = "source.startDate=2026-01-01"
ADDRESSES = {
    "warehouse": {
        "WAREHOUSE_HOST": "terrane-postgres",
        "WAREHOUSE_PORT": "5432",
        "WAREHOUSE_USER": "warehouse",
        "WAREHOUSE_DB": "warehouse",
        "WAREHOUSE_SSLMODE": "prefer",
        "WAREHOUSE_SSLROOTCERT": "",
    },
    "spatial": {
        "POSTGRES_HOST": "terrane-postgis",
        "POSTGRES_PORT": "5432",
        "POSTGRES_USER": "spatial",
        "POSTGRES_DB": "spatial_compute",
        "POSTGRES_LEDGER_DB": "spatial_etl",
        "POSTGRES_SSLMODE": "prefer",
        "POSTGRES_SSLROOTCERT": "",
    },
    "redis": {
        "REDIS_HOST": "terrane-redis",
        "REDIS_PORT": "6379",
        "REDIS_DB": "0",
        "REDIS_USERNAME": "",
        "REDIS_TLS": "false",
        "REDIS_CA_FILE": "null",
    },
    "execution": {
        "TERRANE_AUTOMATION": "",
        "TERRANE_BROKEN_DEFINITIONS": "left_out",
        "TERRANE_ENVIRONMENT": "",
        "TERRANE_EXECUTOR": "in_process",
    },
    "s3": {
        "MINIO_ENDPOINT": "terrane-minio:9000",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": "http://terrane-minio:9000",
        "COMPUTE_LOGS_BUCKET": "compute-logs",
        "COMPUTE_LOGS_PREFIX": "runs",
    },
    "source": {"SOURCE_API_URL": "http://terrane-source:8080", "INGESTION_START_DATE": "2026-01-01"},
    "features": {"FEATURE_SERVER_URL": "http://terrane-feature-server:6566"},
}
PRODUCTION = {
    "warehouse": {
        "WAREHOUSE_HOST": "warehouse.example.com",
        "WAREHOUSE_SSLMODE": "verify-full",
        "WAREHOUSE_SSLROOTCERT": "/etc/terrane/authorities/postgres.crt",
    },
    "spatial": {
        "POSTGRES_HOST": "postgis.example.com",
        "POSTGRES_SSLMODE": "verify-full",
        "POSTGRES_SSLROOTCERT": "/etc/terrane/authorities/postgis.crt",
    },
    "redis": {
        "REDIS_HOST": "redis.example.com",
        "REDIS_TLS": "true",
        "REDIS_CA_FILE": "/etc/terrane/authorities/redis.crt",
    },
    "s3": {
        "MINIO_ENDPOINT": "https://s3.example.com",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
        "LANDING_ZONE_BUCKET": "example-landing-zone",
        "DATA_LAKE_BUCKET": "example-data-lake",
        "COMPUTE_LOGS_BUCKET": "example-compute-logs",
        "COMPUTE_LOGS_PREFIX": "one/team/runs",
        "S3_PREFIX": "one/team",
    },
    "source": {"SOURCE_API_URL": "https://product.example.com/api"},
}
HOME = "/opt/dagster/dagster_home"
SCRATCH: dict[str, Any] = {
    "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "home", "emptyDir": {}}, AUTHORITIES],
    "volume_mounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "home", "mountPath": HOME}, AUTHORITIES_MOUNT],
}
CONFINED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
CONFINED_POD = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "runAsGroup": 1000,
    "fsGroup": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
TICKS = {"skipped": 1, "success": 7, "failure": 30, "started": 7}


def test_addresses_are_those_of_the_stores(rendered: Rendering) -> None:
    assert _addresses(rendered("kind", GIVEN)) == ADDRESSES
    assert _addresses(rendered("celery", GIVEN)) == {
        **ADDRESSES,
        "execution": {**ADDRESSES["execution"], "TERRANE_EXECUTOR": "celery_k8s"},
    }
    managed = {purpose: {**own, **PRODUCTION.get(purpose, {})} for purpose, own in ADDRESSES.items()}
    assert _addresses(rendered("production")) == managed


def test_without_a_first_day_it_is_sixty_days_before_the_install(rendered: Rendering) -> None:
    day = rendered("kind").get("ConfigMap", "terrane-source-address")["data"]["INGESTION_START_DATE"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)
    sample = rendered("kind").get("Deployment", "terrane-source")["spec"]["template"]["spec"]["containers"][0]
    assert sample["args"] == ["--host", "0.0.0.0", "--port", "8080", "--first-day", day]


def test_the_workspace_names_every_location_once(every: Render) -> None:
    text = every.get("ConfigMap", "terrane-dagster-workspace-yaml")["data"]["workspace.yaml"]
    assert yaml.safe_load(text) == {
        "load_from": [{"grpc_server": {"host": name, "port": 4000, "location_name": name}} for name in LOCATIONS]
    }


@pytest.mark.parametrize("profile", ["default", "production"])
def test_the_instance_is_as_it_was_decided(profile: str, rendered: Rendering) -> None:
    config = rendered(profile).configuration()
    database = {
        "username": "dagster",
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": "warehouse.example.com" if profile == "production" else "terrane-postgres-pooler",
        "db_name": "dagster",
        "port": 5432,
        "params": {"sslmode": "verify-full", "sslrootcert": f"{CERTIFICATES}/postgres.crt"}
        if profile == "production"
        else {},
    }
    for part, module, name in (
        ("schedule_storage", "schedule_storage", "PostgresScheduleStorage"),
        ("run_storage", "run_storage", "PostgresRunStorage"),
        ("event_log_storage", "event_log", "PostgresEventLogStorage"),
    ):
        storage = {"module": f"dagster_postgres.{module}", "class": name, "config": {"postgres_db": database}}
        assert config.pop(part) == storage
    assert config.pop("run_launcher") == _launcher(profile)
    # The name of the module is Dagster's own business.
    assert config.pop("scheduler")["class"] == "DagsterDaemonScheduler"
    coordinator = config.pop("run_coordinator")
    assert (coordinator["class"], coordinator["config"]) == (
        "QueuedRunCoordinator",
        {"dequeue_interval_seconds": 1, "dequeue_use_threads": True, "dequeue_num_workers": 4},
    )
    per_location = {"key": "dagster/code_location", "value": {"applyLimitPerUniqueValue": True}, "limit": 5}
    assert config == {
        "compute_logs": {
            "module": "dagster_aws.s3.compute_log_manager",
            "class": "S3ComputeLogManager",
            "config": {
                "bucket": {"env": "COMPUTE_LOGS_BUCKET"},
                "prefix": {"env": "COMPUTE_LOGS_PREFIX"},
                "verify": True,
                "skip_empty_files": True,
                "upload_interval": 30,
            },
        },
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 300,
            "cancel_timeout_seconds": 180,
            "max_runtime_seconds": 86400,
            "max_resume_run_attempts": 0,
            "poll_interval_seconds": 15,
            "free_slots_after_run_end_seconds": 15,
        },
        "run_retries": {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False},
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 4},
        "telemetry": {"enabled": False},
        "retention": {
            "sensor": {"purge_after_days": TICKS},
            "schedule": {"purge_after_days": 30},
            "auto_materialize": {"purge_after_days": TICKS},
        },
        "concurrency": {
            "pools": {"default_limit": 1},
            "runs": {
                "max_concurrent_runs": 50 if profile == "production" else 10,
                "tag_concurrency_limits": [per_location],
            },
        },
        "nux": {"enabled": False},
    }


def test_kinds_runs_ask_for_less(rendered: Rendering) -> None:
    config = rendered("kind").configuration()["run_launcher"]["config"]["run_k8s_config"]
    assert config["container_config"]["resources"] == {
        "requests": {"cpu": "50m", "memory": "256Mi"},
        "limits": {"memory": "1Gi"},
    }


def test_celerys_launcher_gives_every_run_what_any_needs(rendered: Rendering) -> None:
    config = rendered("celery").configuration()
    assert config["run_launcher"] == {
        "module": "dagster_celery_k8s",
        "class": "CeleryK8sRunLauncher",
        "config": {
            "dagster_home": HOME,
            "instance_config_map": "terrane-dagster-instance",
            "postgres_password_secret": "terrane-dagster",
            "job_namespace": "terrane",
            "broker": {"env": "DAGSTER_CELERY_BROKER_URL"},
            "backend": {"env": "DAGSTER_CELERY_BACKEND_URL"},
            "config_source": {"broker_transport_options": {"visibility_timeout": 90000}, "worker_concurrency": 4},
            "env_config_maps": [
                {"env": "DAGSTER_K8S_PIPELINE_RUN_ENV_CONFIGMAP"},
                *(
                    f"terrane-{purpose}-address"
                    for purpose in ("warehouse", "spatial", "redis", "s3", "source", "features", "execution")
                ),
            ],
            "env_secrets": [f"terrane-{p}" for p in ("warehouse", "spatial", "redis", "s3", "source", "celery")],
            **SCRATCH,
            "labels": {"app.kubernetes.io/part-of": "terrane"},
            "service_account_name": "terrane-dagster",
            "image_pull_policy": "IfNotPresent",
            "fail_pod_on_run_failure": True,
        },
    }
    for queue, processes in (("dagster", 4), ("heavy", 1)):
        text = rendered("celery").get("ConfigMap", f"terrane-dagster-celery-{queue}")["data"]["celery.yaml"]
        assert yaml.safe_load(text)["execution"]["celery"] == {
            "broker": {"env": "DAGSTER_CELERY_BROKER_URL"},
            "backend": {"env": "DAGSTER_CELERY_BACKEND_URL"},
            "config_source": {
                "broker_transport_options": {"visibility_timeout": 90000},
                "worker_concurrency": processes,
            },
        }


def test_every_process_of_dagster_knows_where_it_is(every: Render) -> None:
    shared = {"DAGSTER_HOME": HOME, "DAGSTER_K8S_PIPELINE_RUN_NAMESPACE": "terrane"}
    for o in every.of("ConfigMap"):
        name, data = o["metadata"]["name"], o.get("data") or {}
        if name.endswith("-user-env"):
            assert data == {}
        elif name.endswith("-env"):
            assert data.items() >= shared.items(), name
            runs = (
                "terrane-dagster-user-deployments-pipeline-env" if "shared" in name else "terrane-dagster-pipeline-env"
            )
            assert data["DAGSTER_K8S_PIPELINE_RUN_ENV_CONFIGMAP"] == runs
            # Of runs without a location, of which there are none.
            rest = data.keys() - shared.keys() - {"DAGSTER_K8S_PIPELINE_RUN_ENV_CONFIGMAP"}
            unused = {"DAGSTER_K8S_PIPELINE_RUN_IMAGE", "DAGSTER_K8S_PIPELINE_RUN_IMAGE_PULL_POLICY"}
            assert rest == (set() if "shared" in name else unused)


def test_each_role_owns_its_databases_and_nobody_else_may_connect(rendered: Rendering) -> None:
    for store, roles in {
        "postgres": {"dagster": ["dagster"], "warehouse": ["warehouse"]},
        "postgis": {"spatial": ["spatial_compute", "spatial_etl"]},
    }.items():
        data = rendered("kind").get("ConfigMap", f"terrane-{store}")["data"]
        assert data.keys() - {"pgbouncer.ini"} == {"provision.sh", "provision.sql"}
        sql = data["provision.sql"]
        for role, databases in roles.items():
            assert f"select format('create role %I', '{role}')" in sql
            assert f"select format('alter role %I login password %L', '{role}', :'password') \\gexec" in sql
            assert f"\\getenv password PASSWORD_OF_{role.upper()}" in sql
            for database in databases:
                assert f"select format('create database %I owner %I', '{database}', '{role}')" in sql
                assert f'revoke all on database "{database}" from public;' in sql
        for own in ("postgres", "template1"):
            assert f"revoke all on database {own} from public;" in sql
        assert ('create extension if not exists "postgis";' in sql) == (store == "postgis")
        # A statement that fails ends it, and what holds a password is written nowhere.
        assert sql.startswith("\\set ON_ERROR_STOP on\n")
        assert "set log_statement to none;" in sql
        assert "set log_min_error_statement to panic;" in sql
        assert "pg_advisory_lock(hashtext('terrane/provision'))" in sql
        assert '--file "${0%/*}/provision.sql"' in data["provision.sh"]
        # The one that tests/charts/test_store_servers.py runs.
        assert data["provision.sh"] == rendered("kind").get("ConfigMap", "terrane-postgres")["data"]["provision.sh"]


def test_redis_starts_with_its_password_and_in_the_shells_place(rendered: Rendering) -> None:
    for store in ("redis", "broker"):
        script = rendered("celery").get("ConfigMap", f"terrane-{store}")["data"]["start.sh"]
        assert script.startswith("set -eu\n")
        assert "user default \"$REDIS_PASSWORD\" '~* &* +@all'" in script
        assert script.endswith('exec redis-server "$RUN/redis.conf"\n')


def test_production_scales_features_by_their_processors(rendered: Rendering) -> None:
    production = rendered("production")
    scaler = production.get("HorizontalPodAutoscaler", "terrane-feature-server")["spec"]
    assert scaler == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "terrane-feature-server"},
        "minReplicas": 2,
        "maxReplicas": 6,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
            }
        ],
    }
    assert {o["metadata"]["name"]: o["spec"] for o in production.of("PodDisruptionBudget")} == {
        "terrane-feature-server": {
            "minAvailable": 1,
            "selector": {
                "matchLabels": {
                    "app.kubernetes.io/name": "terrane-feature-server",
                    "app.kubernetes.io/instance": "terrane",
                }
            },
        },
        "terrane-webserver": {
            "minAvailable": 1,
            "selector": {
                "matchLabels": {"app.kubernetes.io/instance": "terrane", "component": "dagster-webserver"},
            },
        },
    }
    near = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"component": "dagster-webserver"}},
    }
    apart = [{"weight": 100, "podAffinityTerm": near}]
    for name in ("terrane-dagster-webserver", "terrane-dagster-webserver-read-only"):
        pod = production.get("Deployment", name)["spec"]["template"]["spec"]
        assert pod["affinity"] == {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": apart}}


def test_tests_of_a_release_ask_what_people_ask(every: Render) -> None:
    asked = {}
    for o in every.of("Pod"):
        (container,) = o["spec"]["containers"]
        assert container["command"] == ["python", "-c"]
        assert o["spec"]["restartPolicy"] == "Never"
        assert o["spec"]["automountServiceAccountToken"] is False
        assert container["securityContext"] == CONFINED
        assert o["spec"]["securityContext"] == {**CONFINED_POD, "fsGroupChangePolicy": "OnRootMismatch"}
        assert container["resources"] == {
            "requests": {"cpu": "50m", "memory": "32Mi"},
            "limits": {"memory": "128Mi"},
        }
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
        assert o["spec"]["volumes"] == [{"name": "tmp", "emptyDir": {}}]
        compile(container["args"][0], o["metadata"]["name"], "exec")
        asked[o["metadata"]["name"]] = {v["name"]: v.get("value") for v in container["env"]}
    assert asked["terrane-test-ui"] == {"UI_URL": "http://terrane-dagster-webserver:3001"}
    assert asked["terrane-test-features"]["FEATURES_URL"] == "http://terrane-feature-server:6566"
    assert asked.keys() == {"terrane-test-ui", "terrane-test-features"}


def _addresses(render: Render) -> dict[str, dict[str, str]]:
    return {
        name.removeprefix("terrane-").removesuffix("-address"): o["data"]
        for o in render.of("ConfigMap")
        if (name := o["metadata"]["name"]).endswith("-address")
    }


def _launcher(profile: str) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "terminationGracePeriodSeconds": 120,
        "automountServiceAccountToken": True,
        "securityContext": CONFINED_POD,
        "volumes": SCRATCH["volumes"],
    }
    run: dict[str, Any] = {
        "job_spec_config": {"ttlSecondsAfterFinished": 3600, "activeDeadlineSeconds": 90000},
        "pod_spec_config": pod,
        "container_config": {
            "resources": {"requests": {"cpu": "500m", "memory": "384Mi"}, "limits": {"memory": "2Gi"}},
            "securityContext": CONFINED,
            "volumeMounts": SCRATCH["volume_mounts"],
        },
    }
    if profile == "production":
        kept = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
        run["pod_template_spec_metadata"] = {"annotations": kept}
    return {
        "module": "dagster_k8s",
        "class": "K8sRunLauncher",
        "config": {
            "load_incluster_config": True,
            "job_namespace": "terrane",
            "image_pull_policy": "IfNotPresent",
            "service_account_name": "terrane-dagster",
            "dagster_home": HOME,
            "instance_config_map": "terrane-dagster-instance",
            "postgres_password_secret": "terrane-dagster",
            "fail_pod_on_run_failure": True,
            "run_k8s_config": run,
        },
    }
