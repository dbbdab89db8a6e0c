"""The processes of `reading.child`: started ahead of the file that they are to read, and ended with it.

A process takes a tenth of a second to import what it needs, which it can do while the file is fetched.
"""

from __future__ import annotations

import fcntl
import json
import queue
import subprocess
import threading
from contextlib import suppress
from typing import Any

from terrane_spatial.sandbox import child_process, gdal_settings

PIPE_BYTES = 1 << 20
STOP_TIMEOUT_S = 5
CHILD = child_process.command("terrane_spatial.reading.child.entry")
MAX_LINE_BYTES = 1 << 16

_waiting: queue.SimpleQueue[GdalProcess] = queue.SimpleQueue()


def start_ahead() -> None:
    """Starts a process for the next file; without a request it does nothing but import, and ends with this process."""
    _waiting.put(GdalProcess())


def take() -> GdalProcess:
    """A process that was started ahead, or else a new one; whoever takes it ends it."""
    with suppress(queue.Empty):
        while process := _waiting.get_nowait():
            if process.popen.poll() is None:
                return process
            process.end()
    return GdalProcess()


def dismiss() -> None:
    """Ends what was started ahead and not taken."""
    with suppress(queue.Empty):
        while True:
            _waiting.get_nowait().end()


class GdalProcess:
    """A process of `reading.child` without credentials, which waits for one request and writes Arrow to `output`."""

    def __init__(self, command: list[str] | None = None) -> None:
        self.popen = child_process.start(command or CHILD, gdal_settings.hardened())
        assert self.popen.stdout is not None
        self.output = self.popen.stdout
        _widen(self.output)
        self._errors = _LastLine(self.popen.stderr)

    def ask(self, request: dict[str, Any]) -> None:
        """Sends the request. Raises BrokenPipeError when the process has ended."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(request).encode())
        self.popen.stdin.close()

    def last_line(self) -> str:
        """The last that it said, once it has ended."""
        return self._errors.text()

    def has_ended(self) -> bool:
        """Whether it has, or does within some seconds, as it does when its pipes break."""
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(STOP_TIMEOUT_S)
        return self.popen.returncode is not None

    def kill(self) -> None:
        """Ends it, and waits for nothing."""
        child_process.kill(self.popen)

    def end(self) -> None:
        """Ends it where it still runs, with whatever it may have started."""
        child_process.end(self.popen)
        self._errors.text()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if pipe and not pipe.closed:
                with suppress(BrokenPipeError):
                    pipe.close()


class _LastLine:
    """Reads a pipe to its end in a thread of its own and keeps the last line; the child may write no file."""

    def __init__(self, pipe: Any):
        self._line = b""
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def text(self) -> str:
        """The last line, once the child has ended."""
        self._thread.join(STOP_TIMEOUT_S)
        return self._line.decode(errors="replace")

    def _read(self, pipe: Any) -> None:
        for line in iter(lambda: pipe.readline(MAX_LINE_BYTES), b""):
            self._line = line.strip() or self._line


def _widen(pipe: Any) -> None:
    """Lets the child run ahead by more than 64 KiB, where the system can; a user's pipes together have a limit."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
