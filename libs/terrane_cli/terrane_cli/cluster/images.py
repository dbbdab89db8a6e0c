"""The images that this checkout builds.

Standard library only: a build asks before anything is installed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from terrane_cli.project import Project

# Each location's Dockerfile and build arguments, as `make locations` writes them.
LOCATIONS = "images/locations.json"
# Builds every location that has no Dockerfile of its own, and is no image itself.
SHARED = "location"


@dataclass(frozen=True)
class Image:
    """An image: its name, its Dockerfile below the root, and the build arguments that it needs."""

    name: str
    dockerfile: str
    arguments: dict[str, str] = field(default_factory=dict)


def images(project: Project) -> list[Image]:
    """Every image, in the order of their names."""
    found = {file.parent.name: str(file.relative_to(project.root)) for file in project.root.glob("images/*/Dockerfile")}
    locations = json.loads((project.root / LOCATIONS).read_text())
    others = [Image(name, file) for name, file in found.items() if name not in {SHARED, *locations}]
    return sorted([*others, *(Image(name, **given) for name, given in locations.items())], key=lambda image: image.name)
