"""What a local cluster needs of the machine: an engine, tools, memory and two ports; each named where it is missing."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

import psutil

from terrane.servers.process import port_is_free
from terrane_cli.cluster.commands import CLUSTER

TOOLS = {
    "kind": "makes the cluster; https://kind.sigs.k8s.io",
    "kubectl": "talks to it; https://kubernetes.io/docs/tasks/tools",
    "helm": "installs charts; https://helm.sh",
    "skaffold": "builds and deploys; https://skaffold.dev",
}
MEMORY_GB = 6
PORTS = (80, 443)


@dataclass(frozen=True)
class Finding:
    """One thing that is needed: whether it is there, and what to do where it is not."""

    name: str
    good: bool
    detail: str


def examine() -> list[Finding]:
    findings = [_engine(), *map(_tool, TOOLS), _memory()]
    # The ports of a cluster that exists are its own.
    if not cluster_exists():
        findings += [_port(port) for port in PORTS]
    return findings


def cluster_exists() -> bool:
    if not shutil.which("kind"):
        return False
    done = subprocess.run(["kind", "get", "clusters"], capture_output=True, text=True, check=False)
    return CLUSTER in done.stdout.split()


def _engine() -> Finding:
    if not shutil.which("docker"):
        return Finding("container engine", False, "install Docker, or another engine that answers to `docker`")
    asked = ["docker", "info", "--format", "{{.ServerVersion}}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        return Finding("container engine", False, f"`docker info` fails; is the engine running? {done.stderr.strip()}")
    return Finding("container engine", True, done.stdout.strip())


def _tool(name: str) -> Finding:
    found = shutil.which(name)
    return Finding(name, found is not None, found or f"install it: {TOOLS[name]}")


def _memory() -> Finding:
    free = psutil.virtual_memory().available / 2**30
    return Finding("memory", free >= MEMORY_GB, f"{free:.0f} GB free of the {MEMORY_GB} GB the platform wants")


def _port(port: int) -> Finding:
    free = port_is_free(port)
    return Finding(f"port {port}", free, "free" if free else "taken; the ingress needs it: stop what listens there")
