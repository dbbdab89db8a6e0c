"""The account a server runs as: the caller's own, or an unprivileged one when the caller is root."""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)


def server_account() -> Account | None:
    """The account to change to, or None when servers can run as the caller."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise RuntimeError(f"servers do not run as root, and none of these accounts exists: {', '.join(UNPRIVILEGED)}")


def run_as(account: Account | None) -> dict[str, Any]:
    """What subprocess needs to run a command as the account."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}


def server_folder(wanted: Path) -> Path:
    """Makes a folder that the server's account can reach, and returns it.

    It is `wanted`, unless root's own home or another closed folder lies above it: then it is a folder of /var/tmp, and
    `wanted` a link to it.
    """
    account = server_account()
    if account is None:
        wanted.mkdir(parents=True, exist_ok=True)
        return wanted
    wanted.parent.mkdir(parents=True, exist_ok=True)
    folder = wanted
    if not all(_enters(account, parent) for parent in wanted.absolute().parents):
        folder = Path("/var/tmp") / f"terrane-{hashlib.sha256(bytes(wanted.absolute())).hexdigest()[:12]}"  # noqa: S108 - owned by the server, mode 700
        folder.mkdir(mode=0o700, exist_ok=True)
        if not wanted.exists():
            wanted.unlink(missing_ok=True)
            wanted.symlink_to(folder)
    folder.mkdir(mode=0o700, exist_ok=True)
    account.own(folder)
    return folder


def _enters(account: Account, folder: Path) -> bool:
    status = folder.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
