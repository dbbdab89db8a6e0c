"""Files that are made from others, by their text as it has to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def outdated(files: Mapping[Path, str]) -> list[Path]:
    """Those that are missing or have another text."""
    return [file for file, text in files.items() if not file.exists() or file.read_text() != text]


def write(files: Mapping[Path, str]) -> list[Path]:
    """Writes those that are outdated; returns them."""
    changed = outdated(files)
    for file in changed:
        file.write_text(files[file])
    return changed
