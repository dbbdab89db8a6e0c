"""Which locations changed since their code servers loaded them: what `make up` has them load again, and no others."""

from __future__ import annotations

import hashlib
from pathlib import Path

from terrane_cli.locations.description import LocationError, read_location
from terrane_cli.project import Project

# Made by loading and running, not by people.
IGNORED = {"__pycache__", ".venv", ".terrane", "target", "logs", ".pytest_cache", ".ruff_cache", "tests"}


class Loaded:
    """What each code server loaded, as a digest in the platform's state."""

    def __init__(self, project: Project):
        self._project = project
        self._folder = project.state / "loaded"

    def is_changed(self, location: str) -> bool:
        """Whether files of the location, of its libraries or of the folders beside it are not as they were loaded."""
        file = self._folder / location
        return file.exists() and file.read_text() != digest(self._project, location)

    def keep(self, location: str, loaded: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / location).write_text(loaded)

    def forget(self, location: str) -> None:
        (self._folder / location).unlink(missing_ok=True)


def digest(project: Project, location: str) -> str:
    """Of the names, sizes and times of what the location is made of."""
    found = hashlib.sha256()
    for folder in _folders(project, location):
        for file in sorted(_files(folder)):
            state = file.stat()
            found.update(f"{file.relative_to(project.root)} {state.st_size} {state.st_mtime_ns}\n".encode())
    return found.hexdigest()


def _folders(project: Project, location: str) -> list[Path]:
    try:
        beside = [project.root / name for name in read_location(project, location).folders]
    except LocationError:
        beside = []
    return [project.location_folder(location), *project.libraries_of(location), *beside]


def _files(folder: Path) -> list[Path]:
    found = []
    for path in folder.iterdir():
        if path.name in IGNORED:
            continue
        if path.is_dir():
            found += _files(path)
        elif path.is_file():
            found.append(path)
    return found
