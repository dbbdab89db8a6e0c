"""CPU seconds and memory of processes that run: what is left of a measurement on a machine that others use too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import psutil


def cpu_seconds(pids: Iterable[int]) -> float:
    """Of the processes, of their children that run, and of those that ended."""
    total = 0.0
    for pid in pids:
        leader = psutil.Process(pid)
        times = leader.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
        for child in leader.children(recursive=True):
            try:
                own = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += own.user + own.system
    return total


def peak_mb(pid: int | str = "self") -> float:
    """The most memory that was resident in a process; ru_maxrss would count its parent's too."""
    return _status(pid, "VmHWM")


def resident_mb(pid: int | str = "self") -> float:
    """The memory that is resident in a process now."""
    return _status(pid, "VmRSS")


def forget_peak(pid: int | str = "self") -> None:
    """From here on the peak is that of what follows."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int | str, name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")
