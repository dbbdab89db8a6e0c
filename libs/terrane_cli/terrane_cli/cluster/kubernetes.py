"""Which cluster is meant, and asking it with kubectl."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from terrane_cli.commands import CliError, run

CLUSTER = os.environ.get("TERRANE_CLUSTER", "terrane")
NAMESPACE = "terrane"
# The ports of this machine, HTTP and HTTPS, on which a cluster that is made now will listen.
PORTS_VARIABLE = "TERRANE_CLUSTER_PORTS"
DEFAULT_PORTS = (80, 443)


def kubectl(*words: str, stdin: str | None = None) -> str:
    """What kubectl answers. Raises CliError with its words when it fails."""
    return run(kubectl_command(*words), stdin=stdin, timeout=600)


def kubectl_command(*words: str) -> list[str]:
    """The words of the command, in our namespace unless another is named."""
    return ["kubectl", "--context", context(), "--namespace", NAMESPACE, *words]


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
    """The ports for HTTP and HTTPS of a new cluster. Raises CliError where the variable is no two ports."""
    given = os.environ.get(PORTS_VARIABLE)
    if not given:
        return DEFAULT_PORTS
    ports = [int(word) for word in given.split(",") if word.strip().isdecimal() and 0 < int(word) < 65536]
    if len(ports) != 2 or ports[0] == ports[1] or given.count(",") != 1:
        raise CliError(f"{PORTS_VARIABLE} is two ports, for HTTP and HTTPS, as in 8080,8443; it is {given!r}")
    return ports[0], ports[1]
