"""How far the loading of a file has come: counted by who loads it, told by who watches."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

MIB = 1 << 20


class StoppedError(Exception):
    """Loading was to stop, because another file of the batch or another connection failed, or the run ends."""


def raise_first(futures: Sequence[Future[Any]]) -> None:
    """Raises the first failure of those that are done; that one was stopped is none, when another has one."""
    errors = [error for error in (future.exception() for future in futures) if error]
    causes = [error for error in errors if not isinstance(error, StoppedError)]
    for error in [*causes, *errors][:1]:
        raise error


@dataclass
class Meter:
    """Rows and bytes of one file that were sent to Postgres so far.

    Attributes:
        name: of the file, for people.
        stop: when set, the loader gives up at its next batch.
        seconds: by the clock, from the first row that was due to the last; still running while not `done`.
    """

    name: str
    stop: threading.Event = field(default_factory=threading.Event)
    rows: int = 0
    bytes: int = 0
    done: bool = False
    _begun: float | None = None
    _ended: float | None = None

    def begin(self) -> None:
        """Starts the clock; and counts anew, for a file that is read a second time in another encoding."""
        self._begun, self.rows, self.bytes = time.monotonic(), 0, 0

    def add(self, rows: int, size: int) -> None:
        """Counts a batch. Raises StoppedError when loading is to stop."""
        if self.stop.is_set():
            raise StoppedError(self.name)
        self.rows += rows
        self.bytes += size

    def end(self) -> None:
        self._ended, self.done = time.monotonic(), True

    @property
    def seconds(self) -> float:
        if self._begun is None:
            return 0.0
        return (self._ended or time.monotonic()) - self._begun

    @property
    def begun(self) -> bool:
        return self._begun is not None

    def facts(self) -> dict[str, Any]:
        """What is recorded with the run: rows, rows a second, bytes, seconds."""
        rate = round(self.rows / self.seconds) if self.seconds else 0
        return {"rows": self.rows, "rows/s": rate, "bytes": self.bytes, "seconds": round(self.seconds, 3)}

    def __str__(self) -> str:
        facts = self.facts()
        return (
            f"{self.name}: {self.rows:,} rows, {self.bytes / MIB:,.1f} MiB"
            f" in {self.seconds:.1f} s ({facts['rows/s']:,} rows/s)"
        )
