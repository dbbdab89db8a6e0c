"""Where things are in a checkout: its root, the state it keeps, and the code locations it holds.

Standard library only: bootstrapping reads this before anything is installed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

UI_PORT = 3001
FIRST_CODE_SERVER_PORT = 4000


@dataclass(frozen=True)
class Project:
    """A checkout of Terrane."""

    root: Path

    @classmethod
    def here(cls) -> Project:
        """The checkout this code is in."""
        return cls(Path(__file__).resolve().parents[3])

    @property
    def state(self) -> Path:
        """The folder of everything a run leaves: `.terrane`, or `TERRANE_STATE` where a second platform is wanted."""
        return Path(os.environ.get("TERRANE_STATE", self.root / ".terrane")).absolute()

    @property
    def locations(self) -> list[str]:
        """The names of the code locations: every folder of `code_locations` with a project in it."""
        return sorted(p.parent.name for p in (self.root / "code_locations").glob("*/pyproject.toml"))

    def location_folder(self, location: str) -> Path:
        return self.root / "code_locations" / location

    def environments(self) -> list[Path]:
        """The folders that each have a lock and a virtual environment: the workspace, then every location."""
        return [self.root, *(self.location_folder(name) for name in self.locations)]


def program(folder: Path, name: str) -> Path:
    """A program of the virtual environment in `folder`."""
    return folder / ".venv/bin" / name
