"""What a local cluster needs of the machine: an engine, tools, memory and two ports; each named where it is missing."""

from __future__ import annotations

import shutil

import psutil

from terrane_cli.cluster.kind import cluster_exists, cluster_runs
from terrane_cli.cluster.kubernetes import PORTS_VARIABLE, wanted_ports
from terrane_cli.commands import CliError, answers, run
from terrane_cli.findings import Finding
from terrane_dev.servers.process import port_is_free

TOOLS = {
    "kind": "makes the cluster; https://kind.sigs.k8s.io",
    "kubectl": "talks to it; https://kubernetes.io/docs/tasks/tools",
    "helm": "installs charts; https://helm.sh",
    "skaffold": "builds and deploys; https://skaffold.dev",
}
MEMORY_GB = 6
# An engine whose memory is this near to the machine's runs on the machine itself, and not in a virtual one.
SAME_MEMORY = 0.02


def examine() -> list[Finding]:
    """What is needed, each with whether it is there. A cluster that runs has its memory and its ports already."""
    findings = [_engine(), *map(_tool, TOOLS)]
    if cluster_runs():
        return findings
    return [*findings, _memory(), *([] if cluster_exists() else _ports())]


def _engine() -> Finding:
    if not shutil.which("docker"):
        return Finding("container engine", False, "install Docker, or another engine that answers to `docker`")
    try:
        return Finding("container engine", True, run(["docker", "info", "--format", "{{.ServerVersion}}"]).strip())
    except CliError as problem:
        return Finding("container engine", False, f"is the engine running? {problem}")


def _tool(name: str) -> Finding:
    found = shutil.which(name)
    return Finding(name, found is not None, found or f"install it: {TOOLS[name]}")


def _memory() -> Finding:
    """The engine's memory, which is this machine's or that of a virtual machine; of this machine's, what is free."""
    total = answers(["docker", "info", "--format", "{{.MemTotal}}"])
    if not total or not total.isdigit():
        return Finding("memory", False, "the engine does not say how much it has")
    machine = psutil.virtual_memory()
    return memory_finding(int(total), machine.total, machine.available)


def memory_finding(engine: int, machine: int, free: int) -> Finding:
    """Whether the engine has enough, all in bytes."""
    wanted = MEMORY_GB * 2**30
    if abs(engine - machine) <= SAME_MEMORY * machine:
        return Finding("memory", free >= wanted, f"{free / 2**30:.1f} GB free of the {MEMORY_GB} GB the platform wants")
    told = f"the engine has {engine / 2**30:.1f} GB of the {MEMORY_GB} GB the platform wants"
    return Finding("memory", engine >= wanted, told if engine >= wanted else f"{told}; give its virtual machine more")


def _ports() -> list[Finding]:
    try:
        return [_port(port) for port in wanted_ports()]
    except CliError as problem:
        return [Finding("ports", False, str(problem))]


def _port(port: int) -> Finding:
    free = port_is_free(port)
    taken = f"taken; the ingress needs it. Stop what listens there, or choose others: {PORTS_VARIABLE}=8080,8443"
    return Finding(f"port {port}", free, "free" if free else taken)
