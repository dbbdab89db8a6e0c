"""The kind cluster, and an ingress controller where it has none."""

from __future__ import annotations

import os
import time
from typing import Any

import yaml

from terrane_cli.cluster.kubernetes import CLUSTER, DEFAULT_PORTS, kubectl, kubectl_json, wanted_ports
from terrane_cli.commands import CliError, answers, pipe, run
from terrane_cli.project import Project

NODE = f"{CLUSTER}-control-plane"
INGRESS = "libs/terrane_cli/terrane_cli/cluster/ingress.yaml"
NODE_TIMEOUT_S = 120
LOAD_TIMEOUT_S = 900


def cluster_exists() -> bool:
    return CLUSTER in (answers(["kind", "get", "clusters"]) or "").split()


def cluster_runs() -> bool:
    """Whether the cluster's node is there and running; a restart of the engine leaves it stopped."""
    return answers(["docker", "container", "inspect", NODE, "--format", "{{.State.Running}}"]) == "true"


def ensure_cluster(project: Project) -> bool:
    """Makes the cluster of kind-config.yaml, or starts the one there is; says whether it was made.

    `KIND_NODE_IMAGE` names another node image than kind's own; `TERRANE_CLUSTER_PORTS` other ports of this machine.
    """
    if cluster_exists():
        # Its node is a container, which a restart of the engine leaves stopped.
        run(["docker", "start", NODE])
        _wait_for_node()
        return False
    image = os.environ.get("KIND_NODE_IMAGE")
    command = ["kind", "create", "cluster", "--name", CLUSTER, "--config", "-", *(["--image", image] if image else [])]
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
    mapped = answers(["docker", "port", NODE, "80/tcp"])
    return int(mapped.splitlines()[0].rsplit(":", 1)[1]) if mapped else wanted_ports()[0]


def _wait_for_node() -> None:
    deadline = time.monotonic() + NODE_TIMEOUT_S
    while True:
        try:
            kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout", "30s")
            return
        except CliError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def ensure_ingress(project: Project) -> bool:
    """Installs Traefik on the node's ports, unless the cluster has an IngressClass; says whether it did."""
    if kubectl_json("get", "ingressclasses")["items"]:
        return False
    manifest = project.root / INGRESS
    load_images(ingress_images(manifest.read_text()))
    kubectl("--namespace", "ingress", "apply", "-f", str(manifest))
    kubectl("--namespace", "ingress", "rollout", "status", "deployment/traefik", "--timeout", "180s")
    return True


def ingress_images(manifest: str) -> list[str]:
    """The images that the ingress controller's Deployment names."""
    deployments = [o for o in yaml.safe_load_all(manifest) if o and o["kind"] == "Deployment"]
    return [c["image"] for o in deployments for c in o["spec"]["template"]["spec"]["containers"]]


def delete_cluster() -> bool:
    """Deletes the cluster with all that is in it; says whether there was one."""
    if not cluster_exists():
        return False
    run(["kind", "delete", "cluster", "--name", CLUSTER])
    return True


def load_images(images: list[str]) -> list[str]:
    """Puts onto the nodes what the engine has of the images, and returns it; the nodes pull the others themselves.

    One node reads what the engine writes, as it is written: 174 s for seven images of 4.3 GB beside other work, where
    kind's own way, by a file that each node reads, took 213 s.
    """
    there = [image for image in images if answers(["docker", "image", "inspect", image])]
    if not there:
        return there
    if len(run(["kind", "get", "nodes", "--name", CLUSTER]).split()) > 1:
        run(["kind", "load", "docker-image", *there, "--name", CLUSTER], timeout=LOAD_TIMEOUT_S)
    else:
        archive = ["kind", "load", "image-archive", "/dev/stdin", "--name", CLUSTER]
        pipe(["docker", "save", *there], archive, timeout=LOAD_TIMEOUT_S)
    return there
