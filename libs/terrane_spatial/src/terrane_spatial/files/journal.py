"""A GeoPackage that comes with its write-ahead log, in which transactions are that the file itself lacks yet."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from terrane_spatial.errors import BatchRejectedError, StageError
from terrane_spatial.sandbox import child_process, endings, gdal_settings
from terrane_spatial.sandbox.protocol import REFUSED, Limits

LOG = "-wal"
WALL_S = 600
LIMITS = Limits(wall_s=WALL_S, cpu_s=WALL_S, written_bytes=16 << 30)


def take_in(path: Path, name: str) -> None:
    """Writes what the log beside the database has committed into it, in a process of its own, and removes the log.

    Raises:
        BatchRejectedError: the log is none, or not of this database.
        StageError: the process ended otherwise.
    """
    log = path.with_name(path.name + LOG)
    if not log.exists():
        return
    folder = [str(path.parent)]
    request = {"path": str(path), "limits": LIMITS.of_process(), "readable": folder, "writable": folder}
    try:
        done = child_process.ask("terrane_spatial.files.journal_child", request, gdal_settings.hardened(), WALL_S)
    except subprocess.TimeoutExpired:
        raise endings.took_too_long(name, "taking in its write-ahead log", WALL_S) from None
    if done.returncode == REFUSED:
        told = json.loads(child_process.last_line(done.stderr))["refused"]
        raise BatchRejectedError(f"{name}: its write-ahead log ({path.suffix}{LOG}) cannot be taken in: {told}")
    if done.returncode:
        raise StageError(f"{name}: taking in its write-ahead log ended {child_process.ending(done.returncode)}")
    for left in path.parent.glob(f"{path.name}-*"):
        left.unlink()
