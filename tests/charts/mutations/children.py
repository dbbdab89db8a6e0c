"""Child processes that run the tests with one fault each, a few at a time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.charts.mutations.fault import Fault

# A child that takes longer hangs, which no fault excuses: it counts as a survivor.
LONGEST_SECONDS = 300
AT_A_TIME = min(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class Child:
    fault: Fault
    answer: int
    deadline: float


def answers(faults: Iterable[Fault], run: Callable[[Fault], str]) -> Iterator[tuple[Fault, str]]:
    """What `run` returned for each fault in a child process, in the order of their ends; empty from a lost one."""
    waiting, running = iter(faults), dict[int, Child]()
    try:
        while True:
            while len(running) < AT_A_TIME and (fault := next(waiting, None)):
                pid, child = _start(fault, run)
                running[pid] = child
            if not running:
                return
            for pid in _ended(running):
                child = running.pop(pid)
                with os.fdopen(child.answer) as answer:
                    yield child.fault, answer.read()
            time.sleep(0.01)
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)


def _start(fault: Fault, run: Callable[[Fault], str]) -> tuple[int, Child]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, Child(fault, reading, time.monotonic() + LONGEST_SECONDS)
    try:
        os.close(reading)
        silence = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(silence, stream)
        os.write(writing, run(fault).encode())
    finally:
        # Whatever happened: a child that returned would go on with its parent's work.
        os._exit(0)


def _ended(running: dict[int, Child]) -> list[int]:
    for pid, child in running.items():
        if time.monotonic() > child.deadline:
            os.kill(pid, signal.SIGKILL)
    return [pid for pid in running if os.waitpid(pid, os.WNOHANG)[0] == pid]
