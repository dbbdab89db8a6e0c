"""Starting a server as a process of its own, waiting until it answers, and stopping it by pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from terrane_dev.servers.accounts import Account, run_as

STOP_TIMEOUT_S = 20
LOG_TAIL_LINES = 5


class ServerFailed(RuntimeError):
    """A server ended, or did not answer in time; the message carries the end of its log."""


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def port_is_free(port: int) -> bool:
    """Whether nobody listens on this port of loopback; of one that this user may not bind, whether nobody answers."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            return not _answers(port)
        except OSError:
            return False
    return True


def _answers(port: int) -> bool:
    with socket.socket() as caller:
        caller.settimeout(2)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def start(
    command: Sequence[str],
    log: Path,
    *,
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stdin: str | None = None,
) -> subprocess.Popen:
    """Starts the command in a session of its own, with its output appended to `log`.

    Args:
        stdin: text for the command's input; where configuration with a password goes, which a command line would show.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            cwd=folder or "/",
            start_new_session=True,
            **run_as(account),
        )
    if stdin is not None and process.stdin is not None:
        process.stdin.write(stdin.encode())
        process.stdin.close()
    return process


def wait_until(ready: Callable[[], bool], process: subprocess.Popen, log: Path, what: str, timeout_s: float) -> None:
    """Returns when `ready` says so. Raises ServerFailed when the process ends first or the time is over."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        code = process.poll()
        if code is not None:
            raise ServerFailed(f"{what} ended with code {code}: {tail(log)} (the whole log: {log})")
        if time.monotonic() > deadline:
            raise ServerFailed(f"{what} did not answer within {timeout_s:.0f} s: {tail(log)} (the whole log: {log})")
        time.sleep(0.05)


def stop(process: subprocess.Popen, how: signal.Signals = signal.SIGTERM) -> None:
    """Ends the process, gently first."""
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, on one line."""
    if not log.exists():
        return "(no log)"
    text = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(line.strip() for line in text[-lines:]) or "(an empty log)"
