"""Every image, built once from this checkout."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from tests.images.containers import NAMES, REVISION, Image, build, docker

from terrane_cli.project import Project


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    if not shutil.which("docker"):
        pytest.skip("there is no docker command, and images need an engine")
    if (asked := docker("info")).returncode:
        pytest.skip(f"the container engine does not answer: {asked.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="session")
def built() -> Callable[[str], Image]:
    """Builds an image on first use; a second build of unchanged files takes a second."""
    images: dict[str, Image] = {}

    def ensure(name: str) -> Image:
        if name not in images:
            tag = f"terrane/{name}:tested"
            done = build(name, tag, REVISION=REVISION)
            assert done.returncode == 0, done.stderr[-6000:]
            images[name] = Image(name, tag)
        return images[name]

    return ensure


@pytest.fixture(params=NAMES)
def image(request: pytest.FixtureRequest, built: Callable[[str], Image]) -> Image:
    return built(request.param)


@pytest.fixture(params=Project.here().locations)
def location(request: pytest.FixtureRequest, built: Callable[[str], Image]) -> Image:
    """The image of each code location."""
    return built(request.param)


@pytest.fixture(params=[name for name in NAMES if name not in {"minio", "pgbouncer", "postgis"}])
def python_image(request: pytest.FixtureRequest, built: Callable[[str], Image]) -> Image:
    return built(request.param)
