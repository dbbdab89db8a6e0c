"""A program under a debugger, in a pod of the cluster: with a location's image, variables, passwords and files.

A process of its own in that pod: what the pod serves goes on. debugpy comes from the developers' environment of this
checkout and goes with the pod; no image holds it.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from importlib.util import find_spec
from pathlib import Path

from terrane_cli.cluster.access import forward
from terrane_cli.cluster.kubernetes import kubectl_command
from terrane_cli.commands import CliError, show

PORT = 5678
# The one folder that a pod may write to.
FOLDER = "/tmp/terrane-debug"  # noqa: S108 - in a pod, where it is an emptyDir
FEATURE_SERVER = "feature-server"


def debug(target: str, words: list[str], port: int = PORT) -> int:
    """Runs `python -m <words>` in the target's pod, once a debugger is attached; returns its exit code.

    Args:
        target: a location, or `feature-server`.
        port: of loopback here, to which the debugger connects.

    Raises CliError when debugpy is not installed here, or the pod can't be reached.
    """
    deployment = deployment_of(target)
    _copy_debugpy(deployment)
    listen = ["python", "-m", "debugpy", "--listen", str(PORT), "--wait-for-client", "-m", *words]
    variables = ["env", f"PYTHONPATH={FOLDER}", "PYDEVD_DISABLE_FILE_VALIDATION=1"]
    with forward(deployment, PORT, local=port):
        print(f"{target}: waiting for a debugger at 127.0.0.1:{port}", flush=True)
        return show([*_inside(deployment), *variables, *listen])


def deployment_of(target: str) -> str:
    """The Deployment of a location's code server, or of the feature server."""
    name = "terrane-feature-server" if target == FEATURE_SERVER else f"terrane-dagster-user-deployments-{target}"
    return f"deployment/{name}"


def _inside(deployment: str, *options: str) -> list[str]:
    return kubectl_command("exec", *options, deployment, "--")


def _copy_debugpy(deployment: str) -> None:
    """Puts debugpy into the pod: what of it is not compiled, for the pod's Python may be another one."""
    found = find_spec("debugpy")
    if found is None or found.origin is None:
        raise CliError("debugpy is not installed here; `make setup-development` installs it")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(Path(found.origin).parent, "debugpy", filter=_uncompiled)
    unpack = ["sh", "-c", f"mkdir -p {FOLDER} && tar -xzf - -C {FOLDER}"]
    done = subprocess.run([*_inside(deployment, "--stdin"), *unpack], input=packed.getvalue(), capture_output=True)
    if done.returncode:
        raise CliError(f"debugpy cannot be copied to {deployment}: {done.stderr.decode().strip()}")


def _uncompiled(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith((".so", ".pyc", ".pyd", ".dylib")) else member
