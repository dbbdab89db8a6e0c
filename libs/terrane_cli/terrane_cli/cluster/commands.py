"""Running kubectl, kind, helm and skaffold: one place that names what failed, and with which words."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CLUSTER = os.environ.get("TERRANE_CLUSTER", "terrane")
NAMESPACE = "terrane"
# The ports of this machine, HTTP and HTTPS, on which a cluster that is made now will listen.
PORTS_VARIABLE = "TERRANE_CLUSTER_PORTS"
DEFAULT_PORTS = (80, 443)


class ClusterError(Exception):
    """A command of the cluster failed; the message holds the command's own words."""


def run(command: Sequence[str], *, timeout: float | None = 600, stdin: str | None = None) -> str:
    """The command's output. Raises ClusterError with the end of what it said when it fails."""
    done = subprocess.run(list(command), capture_output=True, text=True, timeout=timeout, input=stdin, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-12:]
        raise ClusterError(f"`{' '.join(command)}` failed with code {done.returncode}:\n  " + "\n  ".join(said))
    return done.stdout


def kubectl(*words: str, stdin: str | None = None) -> str:
    return run(["kubectl", "--context", context(), *words], stdin=stdin)


def kubectl_json(*words: str) -> Any:
    return json.loads(kubectl(*words, "-o", "json"))


def context() -> str:
    """The kind cluster's, or inside a hook of skaffold's the one that skaffold deploys to."""
    return os.environ.get("SKAFFOLD_KUBE_CONTEXT") or f"kind-{CLUSTER}"


def use_named_helm() -> None:
    """Puts the helm that TERRANE_HELM names before all others, for us and for skaffold."""
    if named := os.environ.get("TERRANE_HELM"):
        os.environ["PATH"] = os.pathsep.join([str(Path(named).absolute().parent), os.environ.get("PATH", "")])


def wanted_ports() -> tuple[int, int]:
    """The ports for HTTP and HTTPS of a new cluster. Raises ClusterError where the variable is no two ports."""
    given = os.environ.get(PORTS_VARIABLE)
    if not given:
        return DEFAULT_PORTS
    ports = [int(word) for word in given.split(",") if word.strip().isdecimal() and 0 < int(word) < 65536]
    if len(ports) != 2 or ports[0] == ports[1] or given.count(",") != 1:
        raise ClusterError(f"{PORTS_VARIABLE} is two ports, for HTTP and HTTPS, as in 8080,8443; it is {given!r}")
    return ports[0], ports[1]
