"""Ports of this machine, which several platforms share: who has chosen which, and who listens on them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil

REACHED_BY_LOOPBACK = ("127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1")  # noqa: S104 - nobody is served here


@contextlib.contextmanager
def reserved(choose: Callable[[frozenset[int]], Iterable[int]], folder: Path | None = None) -> Iterator[None]:
    """Chooses ports while nobody else does, and keeps them from others until the block ends.

    Of a port that is chosen nobody sees that it is taken before its process listens, which may be half a minute.

    Args:
        choose: is given the ports that others who are starting have chosen, and returns its own.
        folder: where those who are starting say so, the same for all users of the machine.
    """
    folder = folder or Path(tempfile.gettempdir(), "terrane-ports")
    own = folder / f"{os.getpid()}.json"
    with _only_one(folder):
        ports = sorted(choose(frozenset(_of_others(folder, own))))
        own.write_text(json.dumps({"began": psutil.Process().create_time(), "ports": ports}))
    try:
        yield
    finally:
        own.unlink(missing_ok=True)


def strangers(port: int, pid: int) -> set[int | None]:
    """Who else listens on the port than that process and its children; None is one that only its owner may know.

    Where the system tells nobody but root who listens, as macOS, nothing is found. It goes through every connection of
    the machine, once for each process that is started.
    """
    try:
        ours = {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    except psutil.NoSuchProcess:
        ours = {pid}
    try:
        found = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return set()
    # psutil's own type says of an address only that it is a pair, or empty.
    listening = ((each.pid, *each.laddr[:2]) for each in found if each.status == psutil.CONN_LISTEN and each.laddr)
    return {whose for whose, address, at in listening if at == port and address in REACHED_BY_LOOPBACK} - ours


def _of_others(folder: Path, own: Path) -> set[int]:
    """The ports that commands have chosen which are under way; what commands left that were killed is deleted."""
    ports = set[int]()
    for file in folder.glob("*.json"):
        if file == own:
            continue
        with contextlib.suppress(OSError, ValueError, KeyError):
            said = json.loads(file.read_text())
            if _is_running(int(file.stem), said["began"]):
                ports |= set(said["ports"])
            else:
                file.unlink()
    return ports


def _is_running(pid: int, began: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - began) < 1
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Waits until no other command, of whatever user, chooses ports."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        # As the folder of temporary files itself: everybody writes, and deletes what is theirs.
        folder.chmod(0o1777)
    # A lock wants no right to write, and the file may be somebody else's.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
