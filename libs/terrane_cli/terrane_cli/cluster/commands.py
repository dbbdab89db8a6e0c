"""Running kubectl, kind, helm and skaffold: one place that names what failed, and with which words."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

CLUSTER = os.environ.get("TERRANE_CLUSTER", "terrane")
NAMESPACE = "terrane"


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
    return f"kind-{CLUSTER}"
