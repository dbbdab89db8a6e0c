"""Faults that a person thought of: for each template and each contract what would hurt most."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from tests.charts.mutations.fault import Fault, Object, Path, matching, parent

POD = "spec > template > spec"
DAGSTER = f"{POD} > containers > name=dagster"
SERVER = f"{POD} > containers > name=feature-server"
ANALYTICS = "Deployment/terrane-dagster-user-deployments-analytics"
CODE = f"{POD} > containers > name=dagster-user-deployments"
DAEMON = "Deployment/terrane-dagster-daemon"
WEBSERVER = "Deployment/terrane-dagster-webserver"
INSTANCE = "ConfigMap/terrane-dagster-instance"
MAKING = ["python", "-m", "terrane.object_store.buckets", "--make"]
HOOK = "metadata > annotations > helm.sh/hook"


def _path(text: str) -> Path:
    return tuple(text.split(" > "))


def put(name: str, pattern: str, place: str, value: Any) -> Fault:
    """Another value, or one where there was none."""

    def apply(objects: list[Object]) -> None:
        *above, last = _path(place)
        for o in matching(objects, pattern):
            if not above:
                o[last] = value
            elif at := parent(o, tuple(above)):
                holder, key = at
                if isinstance(holder[key], dict):
                    holder[key][last] = value
                elif found := parent(o, _path(place)):
                    found[0][found[1]] = value

    return Fault(name, apply)


def drop(name: str, pattern: str, place: str) -> Fault:
    def apply(objects: list[Object]) -> None:
        for o in matching(objects, pattern):
            if at := parent(o, _path(place)):
                del at[0][at[1]]

    return Fault(name, apply)


def edit(name: str, pattern: str, place: str, change: Callable[[Any], Any]) -> Fault:
    def apply(objects: list[Object]) -> None:
        for o in matching(objects, pattern):
            if at := parent(o, _path(place)):
                at[0][at[1]] = change(at[0][at[1]])

    return Fault(name, apply)


def line(name: str, pattern: str, place: str, found: str, instead: str = "") -> Fault:
    """Another line in a text, or none: what the expression finds."""
    return edit(name, pattern, place, lambda text: re.sub(found, instead, text, flags=re.MULTILINE))


def leave_out(name: str, pattern: str) -> Fault:
    def apply(objects: list[Object]) -> None:
        gone = [id(o) for o in matching(objects, pattern)]
        objects[:] = [o for o in objects if id(o) not in gone]

    return Fault(name, apply)


def add(name: str, o: Object) -> Fault:
    return Fault(name, lambda objects: objects.append(o))


def _plain(o: Any) -> Any:
    return {**{k: v for k, v in o.items() if k != "valueFrom"}, "value": "in the clear"}


def _broker_of_the_online_store(text: str) -> str:
    address = base64.b64decode(text).decode().replace("terrane-broker", "terrane-redis")
    return base64.b64encode(address.encode()).decode()


DATA = [
    put(
        "Postgres' data is mounted elsewhere",
        "StatefulSet/terrane-postgres",
        f"{POD} > containers > name=postgres > volumeMounts > name=data > mountPath",
        "/var/lib/data",
    ),
    put(
        "PostGIS keeps its data in another folder",
        "StatefulSet/terrane-postgis",
        f"{POD} > containers > name=postgres > env > name=PGDATA > value",
        "/tmp/pgdata",
    ),
    put(
        "Redis' data is mounted elsewhere",
        "StatefulSet/terrane-redis",
        f"{POD} > containers > name=redis > volumeMounts > name=data > mountPath",
        "/var/lib/redis",
    ),
    put(
        "MinIO's data goes with its pod",
        "StatefulSet/terrane-minio",
        f"{POD} > volumes > name=data",
        {"name": "data", "emptyDir": {}},
    ),
    put(
        "the broker has the online store's claim",
        "StatefulSet/terrane-broker",
        f"{POD} > volumes > name=data > persistentVolumeClaim > claimName",
        "data-terrane-redis-0",
    ),
    drop(
        "PostGIS' claim goes with the release", "PersistentVolumeClaim/data-terrane-postgis-0", "metadata > annotations"
    ),
    put(
        "a claim for several nodes",
        "PersistentVolumeClaim/data-terrane-minio-0",
        "spec > accessModes",
        ["ReadWriteMany"],
    ),
    line(
        "Redis writes nothing down",
        "ConfigMap/terrane-redis",
        "data > redis.conf",
        r"^appendonly yes$",
        "appendonly no",
    ),
    line(
        "Redis drops features that it has no room for",
        "ConfigMap/terrane-redis",
        "data > redis.conf",
        "noeviction",
        "allkeys-lru",
    ),
    line("databases are open to PUBLIC", "ConfigMap/terrane-postgres", "data > provision.sql", r"^revoke all.*\n"),
    line(
        "the warehouse has no role",
        "ConfigMap/terrane-postgres",
        "data > provision.sql",
        r"^select format\('create role %I', 'warehouse'.*\n",
    ),
    put("two Postgres on one claim", "StatefulSet/terrane-postgres", "spec > replicas", 2),
    put("Postgres is killed at once", "StatefulSet/terrane-postgres", f"{POD} > terminationGracePeriodSeconds", 0),
    drop(
        "Postgres waits for every client",
        "StatefulSet/terrane-postgres",
        f"{POD} > containers > name=postgres > lifecycle",
    ),
]

NETWORK = [
    put(
        "a policy selects no pod",
        "NetworkPolicy/terrane-postgres",
        "spec > podSelector > matchLabels > app.kubernetes.io/name",
        "postgresql",
    ),
    put("a policy of another port", "NetworkPolicy/terrane-redis", "spec > ingress > 0 > ports > 0 > port", 6380),
    put(
        "a policy lets every namespace in",
        "NetworkPolicy/terrane-minio",
        "spec > ingress > 0 > from",
        [{"namespaceSelector": {}}],
    ),
    put("a policy lets everybody in", "NetworkPolicy/terrane-postgis", "spec > ingress", [{}]),
    leave_out("a store has no policy", "NetworkPolicy/terrane-broker"),
    put("a policy is of what goes out", "NetworkPolicy/terrane-redis", "spec > policyTypes", ["Egress"]),
    put(
        "a Service leads to another port", "Service/terrane-feature-server", "spec > ports > name=http > targetPort", 80
    ),
    put("a Service finds no pod", "Service/terrane-minio", "spec > selector > app.kubernetes.io/name", "terrane-minio"),
    put("a Service is open to the outside", "Service/terrane-dagster-webserver", "spec > type", "LoadBalancer"),
    leave_out("a location has no Service", "Service/spatial"),
    drop("a headless Service has an address", "Service/terrane-postgres-headless", "spec > clusterIP"),
    put(
        "all of the feature server is on the outside",
        "Ingress/terrane-features",
        "spec > rules > 0 > http > paths > 0",
        {
            "path": "/",
            "pathType": "Prefix",
            "backend": {"service": {"name": "terrane-feature-server", "port": {"name": "http"}}},
        },
    ),
    put(
        "features lead to the UI",
        "Ingress/terrane-features",
        "spec > rules > 0 > http > paths > 0 > backend > service",
        {"name": "terrane-dagster-webserver", "port": {"number": 3001}},
    ),
    put("the UI is at another host", "Ingress/terrane-dagster-ingress", "spec > rules > 0 > host", "ui.example.com"),
    drop("features without TLS", "Ingress/terrane-features", "spec > tls"),
    drop("the UI asks for no login", "Ingress/terrane-dagster-ingress", "metadata > annotations"),
]

HOOKS = [
    put(
        "the daemon starts without migrating",
        DAEMON,
        f"{DAGSTER} > command",
        ["/bin/bash", "-c", "dagster-daemon run -w /dagster-workspace/workspace.yaml"],
    ),
    put("two daemons migrate at once", DAEMON, "spec > strategy", {"type": "RollingUpdate"}),
    drop("a long migration is killed", DAEMON, f"{DAGSTER} > startupProbe"),
    drop("buckets are made by no hook", "Job/terrane-buckets", "metadata > annotations"),
    put("buckets are made before their store is there", "Job/terrane-buckets", HOOK, "pre-install,pre-upgrade"),
    put(
        "a hook is left for the next upgrade to stumble over",
        "Job/terrane-buckets",
        "metadata > annotations > helm.sh/hook-delete-policy",
        "hook-succeeded",
    ),
    put(
        "databases come after what wants them",
        "Job/terrane-postgres-provision",
        "metadata > annotations > helm.sh/hook-weight",
        "5",
    ),
    leave_out("no hook makes databases", "Job/terrane-postgis-provision"),
    drop("a mistake in a role is tried for ever", "Job/terrane-postgres-provision", "spec > podFailurePolicy"),
    drop("a Job without an end", "Job/terrane-buckets", "spec > activeDeadlineSeconds"),
    put("helm test is part of the release", "Pod/terrane-test-ui", "metadata > annotations", {}),
    put(
        "helm test asks another address",
        "Pod/terrane-test-features",
        "spec > containers > name=features > env > name=FEATURES_URL > value",
        "http://features:6566",
    ),
    put(
        "files come after code servers", "Job/terrane-sources", "metadata > annotations > helm.sh/hook", "post-install"
    ),
    put(
        "files of another folder",
        "Job/terrane-sources",
        f"{POD} > containers > name=features > volumeMounts > name=features > subPath",
        "other",
    ),
]

SECRETS = [
    drop("a Secret goes with the release", "Secret/terrane-warehouse", "metadata > annotations"),
    leave_out("no Secret for the source", "Secret/terrane-source"),
    edit(
        "a Secret's key has another name",
        "Secret/terrane-redis",
        "data",
        lambda data: {f"{key}_OLD": value for key, value in data.items()},
    ),
    put(
        "the feature server reads another password",
        "Deployment/terrane-feature-server",
        f"{SERVER} > env > name=WAREHOUSE_PASSWORD > valueFrom > secretKeyRef > name",
        "terrane-spatial",
    ),
    edit(
        "a password in the clear",
        "Deployment/terrane-source",
        f"{POD} > containers > name=source > env > name=API_KEY",
        _plain,
    ),
    put("a password in a ConfigMap", "ConfigMap/terrane-warehouse-address", "data > WAREHOUSE_PASSWORD", "secret"),
    edit(
        "Celery uses the online store",
        "Secret/terrane-celery",
        "data > DAGSTER_CELERY_BROKER_URL",
        _broker_of_the_online_store,
    ),
    drop(
        "changed passwords do not reach the feature server",
        "Deployment/terrane-feature-server",
        "spec > template > metadata > annotations > checksum/credentials",
    ),
    drop(
        "changed addresses do not reach the feature server",
        "Deployment/terrane-feature-server",
        "spec > template > metadata > annotations > checksum/addresses",
    ),
    edit(
        "a location has another's password",
        ANALYTICS,
        f"{CODE} > env",
        lambda env: [
            *env,
            {
                "name": "REDIS_PASSWORD",
                "valueFrom": {"secretKeyRef": {"name": "terrane-redis", "key": "REDIS_PASSWORD"}},
            },
        ],
    ),
]

RIGHTS = [
    put("a pod as root", "Deployment/terrane-feature-server", f"{POD} > securityContext > runAsNonRoot", False),
    drop("a pod of any user", "Job/terrane-buckets", f"{POD} > securityContext > runAsUser"),
    put(
        "system calls without a filter",
        "StatefulSet/terrane-redis",
        f"{POD} > securityContext > seccompProfile > type",
        "Unconfined",
    ),
    put(
        "a container that writes anywhere",
        "StatefulSet/terrane-minio",
        f"{POD} > containers > name=minio > securityContext > readOnlyRootFilesystem",
        False,
    ),
    put("a container that may gain rights", ANALYTICS, f"{CODE} > securityContext > allowPrivilegeEscalation", True),
    put("a container with capabilities", DAEMON, f"{DAGSTER} > securityContext > capabilities", {"drop": ["NET_RAW"]}),
    put(
        "the feature server has a token",
        "Deployment/terrane-feature-server",
        f"{POD} > automountServiceAccountToken",
        True,
    ),
    put(
        "every pod of an account has its token", "ServiceAccount/terrane-dagster", "automountServiceAccountToken", True
    ),
    put(
        "runs may read Secrets",
        "Role/terrane-dagster-user-deployments-role",
        "rules > 2 > resources",
        ["pods", "events", "secrets"],
    ),
    put("the daemon may do anything with Jobs", "Role/terrane-dagster-role", "rules > 0 > verbs", ["*"]),
    put(
        "a Role is bound to another account",
        "RoleBinding/terrane-dagster-rolebinding",
        "subjects > name=terrane-dagster",
        {"kind": "ServiceAccount", "name": "default"},
    ),
    add(
        "a Role of the whole cluster",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "terrane"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        },
    ),
]

CONFIGURATION = [
    put(
        "the warehouse is elsewhere", "ConfigMap/terrane-warehouse-address", "data > WAREHOUSE_HOST", "terrane-postgis"
    ),
    put("the lake has no scheme", "ConfigMap/terrane-s3-address", "data > AWS_ENDPOINT_URL_S3", "terrane-minio:9000"),
    put("the warehouse is not encrypted", "ConfigMap/terrane-warehouse-address", "data > WAREHOUSE_SSLMODE", "disable"),
    put("whoever answers is PostGIS", "ConfigMap/terrane-spatial-address", "data > POSTGRES_SSLROOTCERT", "/other.crt"),
    put("the online store is not encrypted", "ConfigMap/terrane-redis-address", "data > REDIS_TLS", "0"),
    put("logs go into a bucket of others", "ConfigMap/terrane-s3-address", "data > COMPUTE_LOGS_BUCKET", "logs"),
    drop("the daemon has no certificates", DAEMON, f"{DAGSTER} > volumeMounts > name=authorities"),
    drop("a location has no certificates", ANALYTICS, f"{CODE} > volumeMounts > name=authorities"),
    drop(
        "the feature server has none",
        "Deployment/terrane-feature-server",
        f"{SERVER} > volumeMounts > name=authorities",
    ),
    drop(
        "the hook has none",
        "Job/terrane-buckets",
        f"{POD} > containers > name=buckets > volumeMounts > name=authorities",
    ),
    put("buckets are made unasked", "Job/terrane-buckets", f"{POD} > containers > name=buckets > command", MAKING),
    put("another executor", "ConfigMap/terrane-execution-address", "data > TERRANE_EXECUTOR", "multiprocess"),
    drop("no address of the feature server", "ConfigMap/terrane-features-address", "data > FEATURE_SERVER_URL"),
    line(
        "places in pools stay taken",
        INSTANCE,
        "data > dagster.yaml",
        r"free_slots_after_run_end_seconds: 15",
        "free_slots_after_run_end_seconds: 0",
    ),
    line("a run may hang for ever", INSTANCE, "data > dagster.yaml", r"^ *max_runtime_seconds.*\n"),
    line("a Job may wait for ever", INSTANCE, "data > dagster.yaml", r"^ *activeDeadlineSeconds.*\n"),
    line(
        "finished pods stay",
        INSTANCE,
        "data > dagster.yaml",
        r"ttlSecondsAfterFinished: 3600",
        "ttlSecondsAfterFinished: 86400",
    ),
    line("two writers of Feast's registry", INSTANCE, "data > dagster.yaml", "default_limit: 1", "default_limit: 2"),
    line(
        "cancelled runs are taken up again",
        INSTANCE,
        "data > dagster.yaml",
        "max_resume_run_attempts: 0",
        "max_resume_run_attempts: 3",
    ),
    line("lost runs are not run again", INSTANCE, "data > dagster.yaml", "max_retries: 1", "max_retries: 0"),
    line(
        "failed assets are run again as a whole",
        INSTANCE,
        "data > dagster.yaml",
        "retry_on_asset_or_op_failure: false",
        "retry_on_asset_or_op_failure: true",
    ),
    line("one location takes every place", INSTANCE, "data > dagster.yaml", "limit: 5", "limit: 50"),
    line("compute logs go elsewhere", INSTANCE, "data > dagster.yaml", "COMPUTE_LOGS_BUCKET", "DATA_LAKE_BUCKET"),
    put("compute logs go into the lake", "ConfigMap/terrane-s3-address", "data > COMPUTE_LOGS_BUCKET", "data-lake"),
    put("an environment that nobody named", "ConfigMap/terrane-execution-address", "data > TERRANE_ENVIRONMENT", "x"),
    line(
        "somebody is told",
        INSTANCE,
        "data > dagster.yaml",
        r"telemetry:\n  enabled: false",
        "telemetry:\n  enabled: true",
    ),
    line(
        "the event log is in another database",
        INSTANCE,
        "data > dagster.yaml",
        "db_name: dagster",
        "db_name: warehouse",
    ),
    line(
        "the UI knows no features",
        "ConfigMap/terrane-dagster-workspace-yaml",
        "data > workspace.yaml",
        r"  - grpc_server:\n      host: features\n.*\n.*\n",
    ),
    line(
        "runs are in another namespace",
        INSTANCE,
        "data > dagster.yaml",
        "job_namespace: terrane",
        "job_namespace: default",
    ),
    line(
        "a queue gives steps up too early",
        "ConfigMap/terrane-dagster-celery-heavy",
        "data > celery.yaml",
        "90000",
        "3600",
    ),
]

PROCESSES = [
    put(
        "ready without a look at Redis",
        "Deployment/terrane-feature-server",
        f"{SERVER} > readinessProbe > httpGet > path",
        "/health",
    ),
    drop("a server that hangs is not ended", "Deployment/terrane-feature-server", f"{SERVER} > livenessProbe"),
    drop("requests fail at a restart", "Deployment/terrane-feature-server", f"{SERVER} > lifecycle"),
    drop("a UI that hangs is not ended", WEBSERVER, f"{DAGSTER} > livenessProbe"),
    drop("nobody takes away the pods of runs that are over", DAEMON, f"{POD} > containers > name=run-pods"),
    put(
        "what takes pods away asks another UI",
        DAEMON,
        f"{POD} > containers > name=run-pods > env > name=UI_URL > value",
        "http://another:3001",
    ),
    drop("a daemon that hangs is not ended", DAEMON, f"{DAGSTER} > livenessProbe"),
    drop("a location is there before it has loaded", ANALYTICS, f"{CODE} > startupProbe"),
    put("a location is gone until it has loaded", ANALYTICS, "spec > strategy > rollingUpdate > maxUnavailable", 1),
    put(
        "runs have another image",
        ANALYTICS,
        f"{CODE} > env > name=DAGSTER_CURRENT_IMAGE > value",
        "terrane/analytics:old",
    ),
    line(
        "runs lack the warehouse's password",
        ANALYTICS,
        f"{CODE} > env > name=DAGSTER_CONTAINER_CONTEXT > value",
        r'\{"name":"WAREHOUSE_PASSWORD".*?\}\}\},',
    ),
    drop(
        "memory without an end",
        "StatefulSet/terrane-postgis",
        f"{POD} > containers > name=postgres > resources > limits",
    ),
    put("a container asks for nothing", "Deployment/terrane-feature-server", f"{SERVER} > resources > requests", {}),
    put(
        "a tag that moves",
        "Deployment/terrane-source",
        f"{POD} > containers > name=source > image",
        "docker.io/terrane/source:latest",
    ),
    put(
        "another's image",
        "StatefulSet/terrane-redis",
        f"{POD} > containers > name=redis > image",
        "docker.io/bitnami/redis:8",
    ),
    line(
        "the second UI starts runs",
        "Deployment/terrane-dagster-webserver-read-only",
        f"{DAGSTER} > command > 2",
        " --read-only",
    ),
    edit(
        "workers look for each other",
        "Deployment/terrane-celery-workers-heavy",
        f"{DAGSTER} > args",
        lambda words: words[:-3],
    ),
    edit(
        "no worker of the queue heavy",
        "Deployment/terrane-celery-workers-heavy",
        f"{DAGSTER} > args",
        lambda words: [word.replace("heavy", "light") for word in words],
    ),
    put("production has one UI", "Deployment/terrane-dagster-webserver", "spec > replicas", 1),
    put(
        "a scaler of another",
        "HorizontalPodAutoscaler/terrane-feature-server",
        "spec > scaleTargetRef > name",
        "terrane-source",
    ),
    put("a scaler that never grows", "HorizontalPodAutoscaler/terrane-feature-server", "spec > maxReplicas", 2),
    put(
        "a budget of no pod",
        "PodDisruptionBudget/terrane-feature-server",
        "spec > selector > matchLabels > app.kubernetes.io/name",
        "feature-server",
    ),
    put("a budget that lets no node go", "PodDisruptionBudget/terrane-webserver", "spec > minAvailable", 2),
    drop("UI and daemon wait for no database", WEBSERVER, f"{POD} > initContainers > name=check-db-ready"),
]

IDENTITY = [
    put("a selector that changed", "Deployment/terrane-feature-server", "spec > selector > matchLabels > version", "2"),
    put("a StatefulSet of another Service", "StatefulSet/terrane-redis", "spec > serviceName", "terrane-redis"),
    put(
        "pods of another release",
        "StatefulSet/terrane-minio",
        "spec > template > metadata > labels > app.kubernetes.io/instance",
        "other",
    ),
    drop("an object that belongs to nobody", "ConfigMap/terrane-s3-address", "metadata > labels > helm.sh/chart"),
    add(
        "two objects of one name",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "terrane-s3-address", "labels": {}}, "data": {}},
    ),
    put("a field that Kubernetes does not know", "Deployment/terrane-source", f"{POD} > tolerate", []),
]

POOLED = f"{POD} > containers > name=pooler"
INI = "data > pgbouncer.ini"
POOLER = [
    line(
        "what one client sets is another's",
        "ConfigMap/terrane-postgres",
        INI,
        "pool_mode = session",
        "pool_mode = statement",
    ),
    line("a session is lent with what the last one left", "ConfigMap/terrane-postgres", INI, "^server_reset_query.*\n"),
    line("nobody is asked for a password", "ConfigMap/terrane-postgres", INI, "auth_type = .*", "auth_type = any"),
    line("the superuser is let in", "ConfigMap/terrane-postgres", INI, " and not rolsuper"),
    line("a role that may not log in does", "ConfigMap/terrane-postgres", INI, " and rolcanlogin"),
    line("a password that has run out is good", "ConfigMap/terrane-postgres", INI, " and \\(rolvaliduntil.*"),
    line(
        "it listens for its own pod alone",
        "ConfigMap/terrane-postgres",
        INI,
        "listen_addr = .*",
        "listen_addr = 127.0.0.1",
    ),
    put(
        "the pooler's Service leads to the server",
        "Service/terrane-postgres-pooler",
        "spec > ports > name=pooler > targetPort",
        "postgres",
    ),
    put(
        "the pooler has no socket of the server",
        "StatefulSet/terrane-postgres",
        f"{POOLED} > volumeMounts > name=run > mountPath",
        "/run/other",
    ),
    line(
        "Dagster goes past the pooler", INSTANCE, "data > dagster.yaml", "terrane-postgres-pooler", "terrane-postgres"
    ),
    drop("nobody asks the pooler", "StatefulSet/terrane-postgres", f"{POOLED} > livenessProbe"),
]

WRITTEN = [*DATA, *NETWORK, *HOOKS, *SECRETS, *RIGHTS, *CONFIGURATION, *PROCESSES, *IDENTITY, *POOLER]
