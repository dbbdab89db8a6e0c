"""Processes that outlive the command that started them: their records, and stopping them by pid.

A record holds the pid together with the moment the process began, so that a pid which the system gave to somebody
else is never taken for ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

STORES = ("postgres", "redis")
# A code server that is asked something waits up to a minute for its answer; nobody is there to hear it.
PATIENCE_S = 10


@dataclass(frozen=True)
class Record:
    """A process that was started: what it is called, and how to know it again."""

    name: str
    pid: int
    began: float
    log: str
    port: int | None = None

    def process(self) -> psutil.Process | None:
        """The running process, or None when it ended."""
        try:
            process = psutil.Process(self.pid)
            alive = abs(process.create_time() - self.began) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None


class Supervisor:
    """Keeps the records of one platform in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def remember(self, name: str, pid: int, log: Path, port: int | None) -> Record:
        record = Record(name, pid, psutil.Process(pid).create_time(), str(log), port)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{name}.json").write_text(json.dumps(asdict(record)))
        return record

    def records(self) -> list[Record]:
        """Every process that was started and not stopped, the oldest first; some may have ended by themselves."""
        files = self.folder.glob("*.json") if self.folder.exists() else ()
        return sorted((Record(**json.loads(f.read_text())) for f in files), key=lambda r: r.began)

    def running(self) -> dict[str, Record]:
        return {r.name: r for r in self.records() if r.process()}

    def stop(self, name: str) -> bool:
        """Stops one process and forgets it; whether it ran."""
        running = self.running().get(name)
        _stop([running] if running else [], signal.SIGTERM)
        (self.folder / f"{name}.json").unlink(missing_ok=True)
        return running is not None

    def stop_all(self) -> list[str]:
        """Stops every process: the stores last, for the others write to them; returns the names of those that ran."""
        records = self.records()
        running = [r for r in reversed(records) if r.process()]
        _stop([r for r in running if r.name not in STORES], signal.SIGTERM)
        # SIGINT is Postgres' fast shutdown; SIGTERM would wait for clients to leave.
        _stop([r for r in running if r.name in STORES], signal.SIGINT)
        for record in records:
            (self.folder / f"{record.name}.json").unlink(missing_ok=True)
        return [r.name for r in running]


def _stop(records: list[Record], how: signal.Signals) -> None:
    """Ends the processes side by side, with what they started, gently first."""
    processes = [process for record in records if (process := record.process())]
    # Runs are children of code servers.
    children = [child for process in processes for child in process.children(recursive=True)]
    for process in processes:
        process.send_signal(how)
    _, stubborn = psutil.wait_procs(processes, timeout=PATIENCE_S)
    _, left = psutil.wait_procs(children, timeout=1)
    for member in [*stubborn, *left]:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs([*stubborn, *left], timeout=PATIENCE_S)


@contextlib.contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Waits until no other command starts or stops processes here."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
