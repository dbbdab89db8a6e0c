"""The kind cluster, and an ingress controller where it has none."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

import yaml

from terrane_cli.cluster.commands import (
    CLUSTER,
    DEFAULT_PORTS,
    ClusterError,
    kubectl,
    kubectl_json,
    run,
    wanted_ports,
)
from terrane_cli.cluster.preflight import cluster_exists
from terrane_cli.project import Project

INGRESS = "libs/terrane_cli/terrane_cli/cluster/ingress.yaml"
NODE_TIMEOUT_S = 120
INGRESS_IMAGE = "docker.io/library/traefik:v3"


def ensure_cluster(project: Project) -> bool:
    """Makes the cluster of kind-config.yaml, or starts the one there is; says whether it was made.

    `KIND_NODE_IMAGE` names another node image than kind's own; `TERRANE_CLUSTER_PORTS` other ports of this machine.
    """
    if cluster_exists():
        # Its node is a container, which a restart of the engine leaves stopped.
        run(["docker", "start", f"{CLUSTER}-control-plane"])
        _wait_for_node()
        return False
    command = ["kind", "create", "cluster", "--name", CLUSTER, "--config", "-"]
    if image := os.environ.get("KIND_NODE_IMAGE"):
        command += ["--image", image]
    run([*command, "--wait", "120s"], timeout=900, stdin=yaml.safe_dump(configuration(project, wanted_ports())))
    return True


def configuration(project: Project, ports: tuple[int, int]) -> dict[str, Any]:
    """kind-config.yaml, with these ports of this machine in place of 80 and 443."""
    read = yaml.safe_load((project.root / "kind-config.yaml").read_text())
    moved = dict(zip(DEFAULT_PORTS, ports, strict=True))
    for node in read["nodes"]:
        for mapping in node.get("extraPortMappings", []):
            mapping["hostPort"] = moved[mapping["containerPort"]]
    return read


def http_port() -> int:
    """The port of this machine on which the cluster's ingress answers, as the engine has it."""
    try:
        mapped = run(["docker", "port", f"{CLUSTER}-control-plane", "80/tcp"])
    except (ClusterError, OSError):
        return wanted_ports()[0]
    return int(mapped.splitlines()[0].rsplit(":", 1)[1])


def _wait_for_node() -> None:
    deadline = time.monotonic() + NODE_TIMEOUT_S
    while True:
        try:
            kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout", "30s")
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


def ensure_ingress(project: Project) -> bool:
    """Installs Traefik on the node's ports, unless the cluster has an IngressClass; says whether it did."""
    if kubectl_json("get", "ingressclasses")["items"]:
        return False
    load_images([INGRESS_IMAGE])
    kubectl("apply", "-f", str(project.root / INGRESS))
    kubectl("--namespace", "ingress", "rollout", "status", "deployment/traefik", "--timeout", "180s")
    return True


def delete_cluster() -> bool:
    """Deletes the cluster with all that is in it; says whether there was one."""
    if not cluster_exists():
        return False
    run(["kind", "delete", "cluster", "--name", CLUSTER])
    return True


def load_images(images: list[str]) -> list[str]:
    """Puts onto the node what the engine has of the images, and returns it; the node pulls the others itself."""
    there = [image for image in images if _engine_has(image)]
    if there:
        run(["kind", "load", "docker-image", *there, "--name", CLUSTER], timeout=900)
    return there


def _engine_has(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0
