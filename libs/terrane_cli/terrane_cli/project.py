"""Where things are in a checkout: its root, the state it keeps, and the code locations it holds.

Standard library only: bootstrapping reads this before anything is installed.
"""

from __future__ import annotations

import os
import re
import tomllib
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

    @property
    def libraries(self) -> list[Path]:
        """The folders of the libraries that are packages of their own."""
        return sorted(p.parent for p in (self.root / "libs").glob("*/pyproject.toml"))

    def libraries_of(self, location: str) -> list[Path]:
        """The libraries of this checkout that the location runs with, in the order of what needs what."""
        return self.local_packages(self.location_folder(location), development=False)[:-1]

    def local_packages(self, folder: Path, *, development: bool) -> list[Path]:
        """The folders of this checkout that the project in `folder` depends on, itself last; each once.

        Args:
            development: with what its `dev` group asks for.
        """
        found: list[Path] = []
        declared = tomllib.loads((folder / "pyproject.toml").read_text())
        wanted = list(declared["project"].get("dependencies", []))
        if development:
            wanted += declared.get("dependency-groups", {}).get("dev", [])
        sources = declared.get("tool", {}).get("uv", {}).get("sources", {})
        for name in map(_name, wanted):
            if "path" in sources.get(name, {}):
                found += self.local_packages((folder / sources[name]["path"]).resolve(), development=False)
        return [*dict.fromkeys(found), folder]

    def development_requirements(self, folder: Path) -> set[str]:
        """The names of what the `dev` group of the project in `folder` asks for."""
        declared = tomllib.loads((folder / "pyproject.toml").read_text())
        return {_name(requirement) for requirement in declared.get("dependency-groups", {}).get("dev", [])}

    def tested_libraries(self, location: str) -> list[Path]:
        """The libraries whose tests run in this location's environment.

        Of the locations that need a library, the first by name that has what the library's tests need; so every library
        is tested in one environment, however many need it. `terrane` is tested in the workspace's.
        """
        here = self.location_folder(location)
        return [library for library in self.libraries_of(location) if self.environment_of(library) == here]

    def environment_of(self, library: Path) -> Path | None:
        """The folder whose environment a library is tested in, or None where nothing in the checkout needs it."""
        if library in self.local_packages(self.root, development=False):
            return self.root
        wanted = self.development_requirements(library)
        for name in self.locations:
            folder = self.location_folder(name)
            if library in self.libraries_of(name) and wanted <= self.development_requirements(folder):
                return folder
        return None

    def environments(self) -> list[Path]:
        """The folders that each have a lock and a virtual environment: the workspace, then every location."""
        return [self.root, *(self.location_folder(name) for name in self.locations)]

    def environment_name(self, folder: Path) -> str:
        """What people call the environment in `folder`: by its location, or `workspace`."""
        return "workspace" if folder == self.root else folder.name


def program(folder: Path, name: str) -> Path:
    """A program of the virtual environment in `folder`."""
    return folder / ".venv/bin" / name


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement)[0]
