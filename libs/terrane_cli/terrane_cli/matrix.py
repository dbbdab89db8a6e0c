"""What CI has a job for, as JSON on one line: `python -m terrane_cli.matrix images` or `locations`.

Standard library only: CI asks before anything is installed.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from terrane_cli.cluster.images import images
from terrane_cli.project import Project


def of_images(project: Project) -> list[dict[str, Any]]:
    """Every image: its name, its Dockerfile, and its build arguments as a build takes them, one a line."""
    return [
        {
            "name": image.name,
            "dockerfile": image.dockerfile,
            "build_args": "\n".join(f"{name}={value}" for name, value in image.arguments.items()),
        }
        for image in images(project)
    ]


def of_locations(project: Project) -> list[dict[str, Any]]:
    """Every location: its name, and the folders of its tests and of those of libraries that are tested in it."""
    entries = []
    for name in project.locations:
        folders = [
            *(f"libs/{library.name}/tests" for library in project.tested_libraries(name)),
            f"code_locations/{name}/tests",
        ]
        there = [folder for folder in folders if (project.root / folder).is_dir()]
        entries.append({"name": name, "tests": " ".join(there)})
    return entries


def main() -> None:
    of = {"images": of_images, "locations": of_locations}[sys.argv[1]]
    print(json.dumps(of(Project.here()), separators=(",", ":")))


if __name__ == "__main__":
    main()
