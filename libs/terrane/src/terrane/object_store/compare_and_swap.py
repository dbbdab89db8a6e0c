"""Replacing one object of the store so that no writer overwrites what it has not read.

S3 compares the ETag that was read. A folder has no conditional overwrite: there a lock of the operating system, on a
file beside the buckets, orders the writers of one machine, and the content is compared once more before it is replaced.

obstore is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import fcntl
import posixpath
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from terrane.object_store.store import Bucket

WAIT_S = 30.0
FIRST_PAUSE_S = 0.01
LAST_PAUSE_S = 0.5
LOCKS = ".locks"

Change = Callable[[bytes | None], bytes | None]


class Contended(RuntimeError):
    """Other writers of the object were first each time, until the time to wait was over."""


def replace(bucket: Bucket, key: str, change: Change, wait_s: float = WAIT_S) -> bytes | None:
    """Replaces the object by what `change` makes of it; costs one read and one write where nobody else writes.

    Args:
        change: gets the content, None where there is no object, and returns the new one, or None to leave it. It is
            called again whenever another writer was first, also when that writer was this call's own request whose
            answer was lost; so it has to give the same result when it is applied twice.
        wait_s: how long to try against other writers.

    Returns:
        What the object holds afterwards.

    Raises:
        Contended: other writers were first until `wait_s` was over.
    """
    deadline, pause = time.monotonic() + wait_s, FIRST_PAUSE_S
    while True:
        with _exclusively(bucket, key, deadline):
            before, tag = _read(bucket, key)
            after = change(before)
            if after is None or after == before:
                return before
            if _write(bucket, key, before, after, tag):
                return after
        if time.monotonic() > deadline:
            raise Contended(f"other writers of {key} were first for {wait_s:.0f} s; try again")
        time.sleep(random.uniform(0, pause))  # noqa: S311 - spreads writers, guards nothing
        pause = min(pause * 2, LAST_PAUSE_S)


def _read(bucket: Bucket, key: str) -> tuple[bytes | None, str | None]:
    import obstore

    try:
        found = obstore.get(bucket, key)
    except FileNotFoundError:
        return None, None
    return bytes(found.bytes()), found.meta["e_tag"]


def _write(bucket: Bucket, key: str, before: bytes | None, after: bytes, tag: str | None) -> bool:
    """Whether the object was still as it was read, and is now the new one."""
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError
    from obstore.store import LocalStore

    mode: Any = "create" if before is None else {"e_tag": tag}
    if before is not None and isinstance(bucket, LocalStore):
        if _read(bucket, key)[0] != before:
            return False
        mode = "overwrite"
    try:
        obstore.put(bucket, key, after, mode=mode, use_multipart=False)
    except (AlreadyExistsError, PreconditionError):
        return False
    return True


@contextmanager
def _exclusively(bucket: Bucket, key: str, deadline: float) -> Iterator[None]:
    """In a folder the only writer below the object's folder; the system frees the lock of a process that dies."""
    from obstore.store import LocalStore

    if not isinstance(bucket, LocalStore):
        yield
        return
    place = Path(str(bucket.prefix))
    file = place.parent / LOCKS / place.name / quote(posixpath.dirname(key) or ".", safe="")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as lock:
        _lock(lock, key, deadline)
        yield


def _lock(lock: IO[bytes], key: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Contended(f"another process holds the lock of the folder of {key}; try again") from None
            time.sleep(FIRST_PAUSE_S)
        else:
            return
