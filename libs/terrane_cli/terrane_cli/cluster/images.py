"""The images that this checkout builds, and the libraries of ours that each location's image holds.

Standard library only: a build asks before anything is installed.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from terrane_cli.project import Project

# Builds every location that has no Dockerfile of its own.
SHARED = "images/location/Dockerfile"


@dataclass(frozen=True)
class Image:
    """An image: its name, its Dockerfile below the root, and the build arguments that it needs."""

    name: str
    dockerfile: str
    arguments: dict[str, str] = field(default_factory=dict)


def images(project: Project) -> list[Image]:
    """Every image, in the order of their names."""
    own = {file.parent.name: str(file.relative_to(project.root)) for file in project.root.glob("images/*/Dockerfile")}
    own.pop("location", None)
    shared = [Image(name, SHARED, {"LOCATION": name}) for name in project.locations if name not in own]
    return sorted([*(Image(name, file) for name, file in own.items()), *shared], key=lambda image: image.name)


def libraries(project: Project, location: str) -> list[str]:
    """The folders of our libraries that the location runs with, those of libraries first that others need."""
    found: list[str] = []
    _add_libraries(project, project.location_folder(location), found)
    return found


def _add_libraries(project: Project, folder: Path, found: list[str]) -> None:
    text = tomllib.loads((folder / "pyproject.toml").read_text())
    sources = text.get("tool", {}).get("uv", {}).get("sources", {})
    for dependency in text.get("project", {}).get("dependencies", []):
        source = sources.get(re.split(r"[^\w.-]", dependency)[0], {})
        if "path" in source:
            library = (folder / source["path"]).resolve()
            name = str(library.relative_to(project.root.resolve()))
            if name not in found:
                _add_libraries(project, library, found)
                found.append(name)
