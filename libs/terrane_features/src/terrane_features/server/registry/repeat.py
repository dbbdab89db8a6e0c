"""Looking at something every few seconds, in a thread of its own."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod


class Repeating(ABC):
    """Looks once at its start, and again after every pause, until it is stopped.

    A subclass says what a look is, and calls `_succeeded` after one that went well.
    """

    def __init__(self, pause_s: float, name: str) -> None:
        self._pause_s = pause_s
        self._looked_at = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    @property
    def age_s(self) -> float:
        """Seconds since the last look that went well."""
        return time.monotonic() - self._looked_at

    @abstractmethod
    def _run_once(self) -> None:
        """Looks, and raises nothing."""

    def _succeeded(self) -> None:
        self._looked_at = time.monotonic()

    def _repeat(self) -> None:
        while not self._stopped.is_set():
            self._run_once()
            self._stopped.wait(self._pause_s)
