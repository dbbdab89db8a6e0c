"""The images that this checkout builds; run as a program it prints them as JSON, for a build's matrix.

Standard library only: a build asks before anything is installed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

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


def matrix(project: Project) -> str:
    """The images as JSON on one line; `build_args` are the arguments as a build takes them, one a line."""
    entries = [
        {"name": image.name, "dockerfile": image.dockerfile, "build_args": _lines(image.arguments)}
        for image in images(project)
    ]
    return json.dumps(entries, separators=(",", ":"))


def _lines(arguments: dict[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in arguments.items())


if __name__ == "__main__":
    print(matrix(Project.here()))
