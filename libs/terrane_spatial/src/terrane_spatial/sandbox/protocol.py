"""What a run and the processes it starts agree on: limits, and how a process says that it refuses a file."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from typing import NamedTuple

# The exit code of a process that refuses its file; its message says why.
REFUSED = 3
# That of one whose memory did not suffice, which is no fault of its file.
OUT_OF_MEMORY = 4
CPU_GRACE_S = 5


class RefusedError(Exception):
    """The file cannot be read, for a reason its producer should see."""


class Limits(NamedTuple):
    """What a process may cost: seconds by the clock and of CPU, bytes of address space, bytes written."""

    wall_s: float = 1800
    cpu_s: int = 1800
    memory_bytes: int = 4 << 30
    written_bytes: int = 0

    def of_process(self) -> dict[str, int]:
        return {
            "RLIMIT_CPU": self.cpu_s,
            "RLIMIT_AS": self.memory_bytes,
            "RLIMIT_FSIZE": self.written_bytes,
            "RLIMIT_CORE": 0,
        }


def apply_limits(limits: Mapping[str, int]) -> None:
    """Sets the limits. The kernel of macOS takes none on address space; the clock and the others hold there too.

    At its limit of CPU time the process gets SIGXCPU, and SIGKILL if it goes on: were both limits one, SIGKILL alone
    would come, which does not tell a file that takes too long from a machine without memory.
    """
    for name, value in limits.items():
        if name == "RLIMIT_AS" and sys.platform == "darwin":
            continue
        hard = value + CPU_GRACE_S if name == "RLIMIT_CPU" else value
        resource.setrlimit(getattr(resource, name), (value, hard))
