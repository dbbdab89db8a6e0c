"""What the kernel forbids a process that handles hostile content: other files, and all calls but those it needs.

Landlock (Linux 5.13, `landlock(7)`) leaves nothing of the file system but folders to read; from Linux 6.12 on also no
process outside to send a signal to. A filter of system calls (`system_calls`) leaves what reading takes. Both hold for
the rest of the process' life, and for every thread made after; a kernel without them is told as such, and the other
limits stand alone there.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from os import PathLike

from terrane_spatial.sandbox.system_calls import forbid_others

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
RULESET_VERSION, PATH_BENEATH = 1, 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
# Write, read, list, remove and make files, truncate: no programs, links, devices or sockets.
IN_A_WRITABLE_FOLDER = 1 << 1 | READ_FILE | READ_DIR | 1 << 5 | 1 << 8 | 1 << 14
# The rights of file systems that each version of Landlock's interface knows, and of TCP from the fourth.
FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
TCP_RIGHTS, FIRST_WITH_TCP = 0b11, 4
# Abstract sockets, and signals, of processes that are not under the same rules.
SCOPES, FIRST_WITH_SCOPES = 0b11, 6

PR_SET_NO_NEW_PRIVS = 38
MOST_LIKELY_KILLED = b"1000"


def confine(readable: Iterable[PathLike[str] | str], writable: Iterable[PathLike[str] | str] = ()) -> list[str]:
    """Takes from this process what it has no need of; returns what the kernel now enforces: `files`, `calls`.

    To be called before any thread is made, which would go on without: raises RuntimeError where there is one.

    Args:
        readable: folders whose files may be read, and listed.
        writable: folders in which files may also be made, written and removed.
    """
    if sys.platform != "linux":
        return []
    if (threads := len(os.listdir("/proc/self/task"))) > 1:
        raise RuntimeError(f"{threads - 1} threads beside the first would not be confined")
    libc = ctypes.CDLL(None, use_errno=True)
    _offer_to_the_oom_killer()
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return []
    writable = list(writable)
    enforced = ["files"] if _lock_files(libc, readable, writable) else []
    return [*enforced, "calls"] if forbid_others(libc, writes=bool(writable)) else enforced


def program_folders() -> list[str]:
    """Where Python and its libraries lie, so that they can be imported later on."""
    system = ["/usr/lib", "/lib", "/lib64", "/usr/share/zoneinfo"]
    return [*{sys.prefix, sys.base_prefix, *filter(None, sys.path)}, *system]


def _offer_to_the_oom_killer() -> None:
    """Where memory runs out, this process goes before the one that runs the batch."""
    try:
        with open("/proc/self/oom_score_adj", "wb") as score:
            score.write(MOST_LIKELY_KILLED)
    except OSError:
        return


def _lock_files(
    libc: ctypes.CDLL, readable: Iterable[PathLike[str] | str], writable: Iterable[PathLike[str] | str]
) -> bool:
    version = libc.syscall(CREATE_RULESET, None, 0, RULESET_VERSION)
    if version < 1:
        return False
    rights = FILE_RIGHTS[min(version, max(FILE_RIGHTS))]
    attributes = struct.pack("<Q", rights)
    attributes += struct.pack("<Q", TCP_RIGHTS) if version >= FIRST_WITH_TCP else b""
    attributes += struct.pack("<Q", SCOPES) if version >= FIRST_WITH_SCOPES else b""
    ruleset = libc.syscall(CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _allow(libc, ruleset, path, READ_FILE | READ_DIR if os.path.isdir(path) else READ_FILE)
        for path in writable:
            _allow(libc, ruleset, path, rights & IN_A_WRITABLE_FOLDER)
        return libc.syscall(RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: PathLike[str] | str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("<Qi", rights, descriptor), 0):
            raise OSError(ctypes.get_errno(), f"Landlock takes no rule for {path}")
    finally:
        os.close(descriptor)
