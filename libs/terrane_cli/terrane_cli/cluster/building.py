"""Building images for a registry: each by a tag that names one content for ever."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from terrane_cli.cluster.images import Image, images
from terrane_cli.commands import CliError, run, show
from terrane_cli.project import Project


@dataclass(frozen=True)
class Build:
    """What is built, and what becomes of it.

    Attributes:
        tag: of every image.
        registry: where they belong, `registry.example.com/team`; none for the engine alone.
        push: whether they go there.
        words: passed to `docker build` as they are: `--secret`, `--platform`, another base image.
    """

    tag: str
    registry: str = ""
    push: bool = False
    words: tuple[str, ...] = ()


def build(project: Project, wanted: Build, names: list[str]) -> list[str]:
    """Builds the images of these names, all of them where none is named; returns what they are called.

    Raises CliError for a name that is none, and when a build or a push fails.
    """
    known = {image.name: image for image in images(project)}
    if unknown := sorted(set(names) - set(known)):
        raise CliError(f"there is no image {', '.join(unknown)}; there are {', '.join(known)}")
    revision = run(["git", "-C", project.root, "rev-parse", "HEAD"]).strip()
    made = []
    for name in names or list(known):
        called = "/".join([*filter(None, [wanted.registry]), f"terrane/{name}:{wanted.tag}"])
        words = [*command(project.root, known[name], revision), *wanted.words, "--tag", called]
        _shown(["docker", "build", *words, str(project.root)])
        if wanted.push:
            _shown(["docker", "push", called])
        made.append(called)
    return made


def command(root: Path, image: Image, revision: str) -> list[str]:
    """The words of `docker build` for an image."""
    arguments = image.arguments | {"REVISION": revision}
    given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    return ["--file", str(root / image.dockerfile), *given]


def _shown(words: list[str]) -> None:
    if show(words):
        raise CliError(f"`{' '.join(words)}` failed")
