"""The demo on the cluster: the batch goes into the bucket of MinIO, the features come back through the ingress."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from terrane.object_store import LANDING_ZONE, ObjectStoreResource
from terrane.servers.process import free_port, port_is_free
from terrane_cli import demo
from terrane_cli.cluster.commands import NAMESPACE, context, kubectl_json
from terrane_cli.dagster_api import DagsterApi
from terrane_cli.project import Project

UI_HOST = "dagster.localtest.me"
FEATURES_HOST = "features.localtest.me"
INGRESS = "http://127.0.0.1"


def ui() -> DagsterApi:
    """The UI's GraphQL through the ingress; by address and host name, for no resolver is needed then."""
    return DagsterApi(INGRESS, host=UI_HOST)


def run(project: Project, console: Console) -> None:
    """Delivers the sample batch, follows it, and shows what the feature server answers through the ingress.

    Raises demo.DemoFailed when a stage fails or takes too long.
    """
    api = ui()
    demo.wait_until_loaded(api)
    with object_store() as store:
        demo.tell_the_story(api, console, store.bucket(LANDING_ZONE), project)
    console.print()
    console.print(demo.features_table(f"{INGRESS}/get-online-features", host=FEATURES_HOST))
    console.print(f"\nThe UI: http://{UI_HOST}", highlight=False)


def reload_location(location: str) -> float:
    """Has a code server load its files again; returns the seconds it took."""
    began = time.monotonic()
    ui().reload_location(location)
    return time.monotonic() - began


@contextmanager
def object_store(service: str = "terrane-minio") -> Iterator[ObjectStoreResource]:
    """MinIO of the cluster, or another with the same passwords, through a port of loopback."""
    secret = kubectl_json("--namespace", NAMESPACE, "get", "secret", "terrane-s3")["data"]
    with forward(f"service/{service}", 9000) as port:
        yield ObjectStoreResource(
            endpoint=f"127.0.0.1:{port}",
            access_key=base64.b64decode(secret["MINIO_ROOT_USER"]).decode(),
            secret_key=base64.b64decode(secret["MINIO_ROOT_PASSWORD"]).decode(),
        )


@contextmanager
def forward(target: str, port: int) -> Iterator[int]:
    """A port of loopback that leads to the target's."""
    local = free_port()
    command = ["kubectl", "--context", context(), "--namespace", NAMESPACE, "port-forward", target, f"{local}:{port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while port_is_free(local):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                said = process.stderr.read().strip() if process.stderr else ""
                raise demo.DemoFailed(f"no way to {target} on the cluster: {said}")
            time.sleep(0.1)
        yield local
    finally:
        process.terminate()
        process.wait(10)
