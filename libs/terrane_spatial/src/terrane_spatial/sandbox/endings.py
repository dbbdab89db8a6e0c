"""What the end of a process that handled a file means.

Only what the process itself says against its file rejects a batch. Everything else is a failure of ours: the run fails
and the batch stays good. After a signal that content can cause, a known good file of the same format is read: where
that works, the batch is tried once more by another run, in another pod, and when the file ends its process there too it
is quarantined until a person lifts that (`runs.failures`).
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from terrane_spatial.errors import StageError
from terrane_spatial.sandbox.child_process import ending
from terrane_spatial.sandbox.protocol import OUT_OF_MEMORY, Limits

# Signals that a file can bring upon the process that parses it. SIGKILL is not one: the kernel sends it when memory is
# short, and people do.
CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGXCPU})
CGROUP = Path("/sys/fs/cgroup")
MIB = 1 << 20

Result = TypeVar("Result")


class CrashedError(StageError):
    """The process was ended by a signal that its file may have caused."""


class FileCrashedError(StageError):
    """The file ended its process, and a known good file of its format was read after it."""


def failure(name: str, doing: str, code: int, last: str) -> StageError:
    """The error for a process that ended otherwise than well, or by refusing its file.

    Args:
        name: the file, for people.
        doing: as `reading`.
        code: the exit code; below zero, the signal.
        last: the last line that the process said.
    """
    told = f"{name}: {doing} it ended {ending(code)}"
    if -code in CRASHES:
        return CrashedError(f"{told}: {last or 'no message'}")
    if code == OUT_OF_MEMORY:
        return StageError(
            f"{name}: {doing} it needed more memory than one process may have, {_words(Limits().memory_bytes)} of "
            f"address space; {memory()}. The batch is unharmed; have its producer send smaller files, or re-execute "
            "the run where there is more"
        )
    if code == -signal.SIGSYS:
        return StageError(
            f"{told}: a library made a system call that the sandbox knows nothing of, as another kernel or C library "
            "may bring about; the kernel's log has its number. The batch is unharmed; report this, and re-execute the "
            "run on an image that worked"
        )
    if code == -signal.SIGKILL:
        return StageError(
            f"{told}, which no file does by itself: {memory()}. The batch is unharmed; where memory was short give "
            "runs more of it or let fewer files be read at once, then re-execute the run"
        )
    return StageError(
        f"{told}: {last or 'no message'}. The process did not refuse the file, so the fault is in this installation "
        "and the batch is unharmed; mend it, then re-execute the run"
    )


def took_too_long(name: str, doing: str, seconds: float) -> StageError:
    """The error for a process that was ended because it took longer by the clock than its limit."""
    return StageError(
        f"{name}: {doing} it took longer than {seconds:.0f} s, and less CPU time than it may: the machine is slow or "
        "busy. The batch is unharmed; re-execute the run"
    )


def beside_control(attempt: Callable[[], Result], read_control: Callable[[], None]) -> Result:
    """What the attempt returns; after a crash, what a known good file of the same format says of this installation.

    Args:
        read_control: reads the known good file, in a process of its own.

    Raises:
        FileCrashedError: the attempt crashed, and the known good file was read after it.
        StageError: the known good file could not be read either.
    """
    try:
        return attempt()
    except CrashedError as error:
        crashed = error
    try:
        read_control()
    except Exception as error:
        raise StageError(
            f"{crashed}. And a known good file of its format cannot be read here either ({error}), so the fault is in "
            "this installation and the batch is unharmed; mend it, then re-execute the run"
        ) from error
    raise FileCrashedError(f"{crashed}. A known good file of its format was read here after it") from crashed


def memory() -> str:
    """The limit of memory here and the most that was used, in words: of the container, and of the largest child."""
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    limit, peak = (_bytes(CGROUP / name) for name in ("memory.max", "memory.peak"))
    return (
        f"the memory limit here is {_words(limit)}, the most used by all processes {_words(peak)}, "
        f"by the largest process that was started {_words(largest)}"
    )


def _bytes(path: Path) -> int | None:
    """The number in a file of the cgroup; None where there is none, or no limit."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _words(size: int | None) -> str:
    return "not known" if size is None else f"{size / MIB:,.0f} MiB"
