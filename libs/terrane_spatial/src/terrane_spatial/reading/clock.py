"""How long a process may be waited for: time by the clock, which stands while the run is busy with what came."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MAX_INTERVAL_S = 1.0


class Clock:
    """Calls `give_up` once the time that was spent inside `waiting` reaches the limit; looks at it every second.

    Attributes:
        expired: whether it has.
    """

    def __init__(self, limit_s: float, give_up: Callable[[], None]):
        self.expired = False
        self._left, self._give_up = limit_s, give_up
        self._due: float | None = None
        self._stopped = threading.Event()
        self._interval = min(MAX_INTERVAL_S, limit_s / 4)
        threading.Thread(target=self._watch, name="clock", daemon=True).start()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The process is waited for inside."""
        begun = time.monotonic()
        self._due = begun + self._left
        try:
            yield
        finally:
            self._due = None
            self._left -= time.monotonic() - begun

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval):
            due = self._due
            if due is not None and time.monotonic() >= due:
                self.expired = True
                self._give_up()
                return
