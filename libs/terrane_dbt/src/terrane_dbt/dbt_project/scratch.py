"""Folders of the temporary one that outlive a process, for what a project's own folder can't take."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def own_folder(name: str) -> Path:
    """A folder of that name that this user alone can enter, made when missing.

    Raises PermissionError where another user has made it: whoever may write there says what dbt reads.
    """
    folder = Path(tempfile.gettempdir(), f"terrane-dbt-{os.getuid()}-{name}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; delete it, or set TMPDIR to a folder of your own")
    return folder
