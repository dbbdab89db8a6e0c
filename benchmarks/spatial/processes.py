"""A contender as a process of its own, timed, with the most memory that it and its children ever held."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT

LOOK_EVERY_S = 0.01
MIB_PER_KIB = 1 / 1024


@dataclass(frozen=True)
class Run:
    """What a contender took.

    Attributes:
        seconds: by its own clock where it says so, else of the whole process.
        peak_mb: MiB; the high-water marks of its living processes, as the kernel keeps them (VmHWM), added up. Pages
            that processes share count more than once, and marks need not be of one moment: a bound from above.
        told: what it printed on its last line, as JSON.
    """

    seconds: float
    peak_mb: float
    told: dict[str, Any]


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
    peak = 0
    while process.poll() is None:
        peak = max(peak, _high_water(process.pid))
        time.sleep(LOOK_EVERY_S)
    wall = time.perf_counter() - begun
    out, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {errors.strip()[-2000:]}")
    lines = out.strip().splitlines()
    told = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return Run(told.get("seconds", wall), peak * MIB_PER_KIB, told)


def _high_water(pid: int) -> int:
    """The high-water marks of the process and of all below it that live, added up, in KiB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    except OSError:
        return 0
    own = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    return sum(own) + sum(map(_high_water, children))
