"""A contender as a process of its own, timed or weighed: looking at its memory would take time from it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT

LOOK_EVERY_S = 0.02
MIB_PER_KIB = 1 / 1024
MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ (?P<file>\S+ \S+ \d+)")

_weighing: ContextVar[bool] = ContextVar("weighing", default=False)


@dataclass(frozen=True)
class Run:
    """What a contender took.

    Attributes:
        seconds: by its own clock where it says so, else of the whole process.
        peak_mb: MiB; where it was weighed, the most that its processes were seen to hold at once. A page of a file that
            several of them map counts once.
        told: what it printed on its last line, as JSON.
    """

    seconds: float
    peak_mb: float
    told: dict[str, Any]


@contextmanager
def weighing() -> Iterator[None]:
    """Weighs every contender that is run inside."""
    token = _weighing.set(True)
    try:
        yield
    finally:
        _weighing.reset(token)


def call(function: str, environment: Mapping[str, str], **arguments: Any) -> Run:
    """Runs `<module>:<function>` of this package with the arguments, in a process of its own; it returns seconds."""
    command = [sys.executable, "-m", "benchmarks.spatial.contender", function, json.dumps(arguments)]
    return run(command, environment)


def run(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Raises RuntimeError, with what it printed, when the command fails."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        list(command), cwd=ROOT, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak = _peak(process) if _weighing.get() else 0
    out, errors = process.communicate()
    wall = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {errors.strip()[-2000:]}")
    lines = out.strip().splitlines()
    told = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return Run(told.get("seconds", wall), peak * MIB_PER_KIB, told)


def _peak(process: subprocess.Popen[str]) -> int:
    """The most that the process and all below it are seen to hold until it ends, in KiB."""
    peak = 0
    while process.poll() is None:
        own = 0
        shared: dict[str, int] = {}
        for pid in _family(process.pid):
            anonymous, files = _held(pid)
            own += anonymous
            for part, size in files.items():
                shared[part] = max(size, shared.get(part, 0))
        peak = max(peak, own + sum(shared.values()))
        time.sleep(LOOK_EVERY_S)
    return peak


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from _family(child)


def _held(pid: int) -> tuple[int, dict[str, int]]:
    """KiB of the process' own, and of pages of each part of a file that it maps (proc_pid_smaps(5))."""
    own, part = 0, ""
    files: dict[str, int] = {}
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    except OSError:
        return 0, {}
    for line in lines:
        if mapping := MAPPING.match(line):
            part = mapping["file"]
        elif line.startswith("Rss:"):
            files[part] = files.get(part, 0) + int(line.split()[1])
        elif line.startswith("Anonymous:"):
            anonymous = int(line.split()[1])
            own += anonymous
            files[part] -= anonymous
    return own, files
