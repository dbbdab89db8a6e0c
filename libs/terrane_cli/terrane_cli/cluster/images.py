"""The images that this checkout builds; run as a program it prints them as JSON, for a build's matrix.

Standard library only: a build asks before anything is installed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

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


if __name__ == "__main__":
    print(json.dumps([asdict(image) for image in images(Project.here())], separators=(",", ":")))
