"""Faults of a platform on one machine: its own processes are killed, or stand still for a while, by a seed."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from terrane_cli.laptop.platform import Platform
from terrane_cli.laptop.supervisor import Record
from terrane_dev.servers.process import ServerFailed

STANDS_STILL_S = (1, 8)
COMES_UP_IN = 3
# What each process of the platform stands for; code servers are the locations', by name.
STORES, SERVERS = ("postgres", "redis"), ("daemon", "source", "feature-server", "webserver")


@dataclass
class Faults:
    """Disturbs a platform, and counts by what."""

    platform: Platform
    seed: int
    counted: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def one(self) -> str:
        """One fault of those that can be now; returns what it was."""
        kinds: dict[str, Callable[[], bool]] = {
            "a run killed": lambda: self._kill_below("execute_run"),
            "dbt killed": lambda: self._kill_below("/dbt build"),
            "a store killed": lambda: self._kill(self._any(STORES)),
            "a server killed": lambda: self._kill(self._any(SERVERS)),
            "a code server killed": lambda: self._kill(self._any(tuple(self.platform.project.locations))),
            "a process stood still": self._pause,
        }
        names = self._random.sample(list(kinds), len(kinds))
        done = next((name for name in names if kinds[name]()), "nothing ran")
        self.counted[done] = self.counted.get(done, 0) + 1
        self._come_up()
        return done

    def wait(self, least_s: float, most_s: float) -> None:
        time.sleep(self._random.uniform(least_s, most_s))

    def _any(self, names: tuple[str, ...]) -> Record | None:
        running = self.platform.supervisor.running()
        there = [running[name] for name in names if name in running]
        return self._random.choice(there) if there else None

    def _kill(self, record: Record | None) -> bool:
        """With all that it started, as when the machine takes the memory back: nothing of it is told to end."""
        process = record.process() if record else None
        if process is None:
            return False
        _kill_all([process, *process.children(recursive=True)])
        return True

    def _kill_below(self, words: str) -> bool:
        """A process below one of the platform's whose command line has these words."""
        found = []
        for record in self.platform.supervisor.running().values():
            process = record.process()
            for child in process.children(recursive=True) if process else []:
                with contextlib.suppress(psutil.Error):
                    if words in " ".join(child.cmdline()):
                        found.append(child)
        if not found:
            return False
        _kill_all([self._random.choice(found)])
        return True

    def _pause(self) -> bool:
        record = self._any((*STORES, *SERVERS, *self.platform.project.locations))
        process = record.process() if record else None
        if process is None:
            return False
        family = [process, *process.children(recursive=True)]
        try:
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.suspend()
            self.wait(*STANDS_STILL_S)
        finally:
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.resume()
        return True

    def _come_up(self) -> None:
        """What a person does: `make up`, and once more when that fails."""
        for attempt in range(1, COMES_UP_IN + 1):
            try:
                self.platform.up()
            except Exception as error:
                # Of what died a moment ago some may be on its way out still.
                if attempt == COMES_UP_IN:
                    raise ServerFailed(f"the platform did not come up in {COMES_UP_IN} tries: {error}") from error
                time.sleep(2)
            else:
                return


def _kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
