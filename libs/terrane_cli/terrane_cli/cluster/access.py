"""The ways to what runs on the cluster: the UI, the ingress, the object store, and a port of anything else."""

from __future__ import annotations

import base64
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from terrane.object_store import ObjectStoreResource
from terrane_cli.cluster.kind import http_port
from terrane_cli.cluster.kubernetes import kubectl, kubectl_command, kubectl_json
from terrane_cli.commands import CliError
from terrane_cli.dagster_api import DagsterApi
from terrane_dev.servers.process import free_port, port_is_free

# Browsers take every name below `localhost` to this machine, without a resolver.
UI_HOST = "dagster.localhost"
FEATURES_HOST = "features.localhost"
FEATURE_SERVER = "deployment/terrane-feature-server"
FEATURE_SERVER_LABEL = "app.kubernetes.io/name=terrane-feature-server"
WEBSERVER = "service/terrane-dagster-webserver"
WEBSERVER_PORT = 3001


def ingress(host: str = "127.0.0.1") -> str:
    """The address of the ingress on this machine, by a name that it knows or by its own address."""
    port = http_port()
    return f"http://{host}" if port == 80 else f"http://{host}:{port}"


def ui() -> DagsterApi:
    """The UI's GraphQL through the ingress; by address and host name, for no resolver is needed then."""
    return DagsterApi(ingress(), host=ingress(UI_HOST).removeprefix("http://"))


@contextmanager
def webserver() -> Iterator[DagsterApi]:
    """The UI's GraphQL on any cluster that kubectl reaches, with an ingress or without.

    Raises CliError when the cluster has no way to it.
    """
    with forward(WEBSERVER, WEBSERVER_PORT) as port:
        yield DagsterApi(f"http://127.0.0.1:{port}")


def reload_location(location: str) -> float:
    """Has a code server load its files again; returns the seconds it took.

    The feature server starts again where it has the same volume and its code changed: nothing else can change it.
    """
    began = time.monotonic()
    with webserver() as api:
        api.reload_location(location)
    if serves(location) and code_changed():
        kubectl("rollout", "restart", FEATURE_SERVER)
    return time.monotonic() - began


def serves(location: str) -> bool:
    """Whether the feature server reads the files that are synced for this location."""
    found = kubectl_json("get", "deployments", "--selector", FEATURE_SERVER_LABEL)["items"]
    volumes = [volume for server in found for volume in server["spec"]["template"]["spec"].get("volumes", [])]
    claims = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in volumes]
    return f"terrane-source-of-{location}" in claims


def code_changed() -> bool:
    """Whether Python is among the files that skaffold just synced; true by hand, where nobody says which."""
    named = [os.environ.get(name) for name in ("SKAFFOLD_FILES_ADDED_OR_MODIFIED", "SKAFFOLD_FILES_DELETED")]
    files = [file for names in named if names for file in names.split(";")]
    return named == [None, None] or any(file.endswith(".py") for file in files)


@contextmanager
def object_store(service: str = "terrane-minio") -> Iterator[ObjectStoreResource]:
    """MinIO of the cluster, or another with the same passwords, through a port of loopback."""
    secret = kubectl_json("get", "secret", "terrane-s3")["data"]
    with forward(f"service/{service}", 9000) as port:
        yield ObjectStoreResource(
            endpoint=f"127.0.0.1:{port}",
            access_key=base64.b64decode(secret["MINIO_ROOT_USER"]).decode(),
            secret_key=base64.b64decode(secret["MINIO_ROOT_PASSWORD"]).decode(),
        )


@contextmanager
def forward(target: str, port: int, local: int | None = None) -> Iterator[int]:
    """A port of loopback, a free one unless told, that leads to the target's.

    Raises CliError where the cluster has no way to it.
    """
    local = local or free_port()
    command = kubectl_command("port-forward", target, f"{local}:{port}")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while port_is_free(local):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                said = process.stderr.read().strip() if process.stderr else ""
                raise CliError(f"no way to {target} on the cluster: {said}")
            time.sleep(0.1)
        yield local
    finally:
        process.terminate()
        process.wait(10)
