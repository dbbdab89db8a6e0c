"""A module of ours run as a process of its own, which is asked one thing: what reads or writes with GDAL runs so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


def command(module: str) -> list[str]:
    """Isolated: neither the environment nor the working folder adds to what can be imported."""
    return [sys.executable, "-I", "-m", module]


def start(command: list[str], environment: Mapping[str, str], errors: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Starts a process that leads a group of its own, so that it can be ended with all that it may have started.

    Args:
        environment: all that it gets.
        errors: where what it says goes; DEVNULL where a file decides how much that is.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=dict(environment),
        cwd="/",
        close_fds=True,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends the process where it still runs, and whatever is left of its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes]) -> None:
    """The same, and waits until it is gone."""
    kill(process)
    process.wait()


def ask(
    module: str, request: Any, environment: Mapping[str, str], wall_s: float, errors: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """Runs the module's process with the request as JSON on its input; returns how it ended and what it wrote.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was ended.
    """
    process = start(command(module), environment, errors)
    try:
        out, said = process.communicate(json.dumps(request).encode(), wall_s)
    except BaseException:
        end(process)
        # What it wrote until then was not for anybody; the pipes are closed.
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        raise
    end(process)
    return subprocess.CompletedProcess(process.args, process.returncode, out, said)


def ending(code: int) -> str:
    """How a process ended, by its exit code."""
    if code >= 0:
        return f"with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    return f"by signal {-code} ({name})"


def last_line(errors: bytes) -> str:
    """The last that a process said."""
    return (errors.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
