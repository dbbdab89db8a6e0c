"""What a location's image is built of: its Dockerfile, the arguments of a build, and what is synced into it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from terrane_cli.locations.description import Location, LocationError
from terrane_cli.project import Project

SHARED = "images/location/Dockerfile"
# The shared Dockerfile takes so many folders beside the location and libs/terrane.
MOST_FOLDERS = 4


@dataclass(frozen=True)
class Built:
    """How an image is built.

    Attributes:
        dockerfile: below the checkout's root.
        arguments: of the build; none for a Dockerfile of the location's own.
        synced: patterns of the files that go into a running container while developing.
        feature_server: whether the feature server is made of it.
    """

    dockerfile: str
    arguments: dict[str, str]
    synced: tuple[str, ...]
    feature_server: bool = False


def built(project: Project, name: str, location: Location) -> Built:
    """How the location's image is built: by a Dockerfile of its own, where there is one, or by the one they share.

    Raises LocationError for more folders beside it than the shared one takes.
    """
    libraries = [f"libs/{library.name}" for library in project.libraries_of(name)]
    synced = [f"code_locations/{name}/src/**/*"]
    synced += [f"{library}/src/**/*" for library in libraries if library != "libs/terrane"]
    synced += [f"{folder}/{pattern}" for folder, patterns in location.folders.items() for pattern in patterns]
    own = own_dockerfile(project, name)
    arguments = {} if own else _arguments(project, name, location, libraries)
    return Built(own or SHARED, arguments, tuple(synced), location.feature_server)


def own_dockerfile(project: Project, name: str) -> str | None:
    """The Dockerfile in the location's folder, below the checkout's root, if there is one."""
    file = f"code_locations/{name}/Dockerfile"
    return file if (project.root / file).is_file() else None


def _arguments(project: Project, name: str, location: Location, libraries: list[str]) -> dict[str, str]:
    described = tomllib.loads((project.location_folder(name) / "pyproject.toml").read_text())["project"]
    beside = [folder for folder in [*libraries, *location.folders] if folder != "libs/terrane"]
    if len(beside) > MOST_FOLDERS:
        raise LocationError(
            f"code_locations/{name}: its image would hold {len(beside)} folders beside it, and {SHARED} takes "
            f"{MOST_FOLDERS}; give it a Dockerfile of its own"
        )
    arguments = {"LOCATION": name, "DESCRIPTION": described["description"], "VERSION": described["version"]}
    if location.system_packages:
        arguments["SYSTEM_PACKAGES"] = " ".join(location.system_packages)
    return arguments | {f"FOLDER_{number}": folder for number, folder in enumerate(beside, 1)}
