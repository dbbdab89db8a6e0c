"""A module of ours run as a process of its own, which is asked one thing: what reads or writes with GDAL runs so."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def command(module: str) -> list[str]:
    """Isolated: neither the environment nor the working folder adds to what can be imported."""
    return [sys.executable, "-I", "-m", module]


def ask(
    module: str, request: Any, environment: Mapping[str, str], wall_s: float, errors: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """Runs the module's process with the request as JSON on its input; returns how it ended and what it wrote.

    Args:
        environment: all that it gets.
        errors: where what it says goes; DEVNULL where a file decides how much that is.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was ended.
    """
    return subprocess.run(
        command(module),
        input=json.dumps(request).encode(),
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=errors,
        timeout=wall_s,
        cwd="/",
        start_new_session=True,
    )


def ending(code: int) -> str:
    """How a process ended, by its exit code."""
    if code >= 0:
        return f"with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    return f"by signal {-code} ({name})"


def last_line(errors: bytes) -> str:
    """The last that a process said."""
    return (errors.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
