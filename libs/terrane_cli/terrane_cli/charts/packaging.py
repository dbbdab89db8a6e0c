"""The charts of a release: packed with its version, and with the digests of its images in their values."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from terrane_cli.charts.dependencies import fill_dependencies
from terrane_cli.commands import CliError, run
from terrane_cli.project import Project

# What our images are called in the charts, before a release gives them a registry.
OURS = "terrane/"


@dataclass(frozen=True)
class Release:
    """A release's version, where its images are (`registry.example.com/team`), and their digests by name."""

    version: str
    images: str
    digests: Mapping[str, str]


def package(project: Project, release: Release, output: Path) -> Path:
    """Packs the umbrella with its dependencies into `output`; returns the file. The checkout is left as it is.

    Raises CliError when an image of ours would be left without a digest, or a digest is of no image in the values.
    """
    with tempfile.TemporaryDirectory() as folder:
        copied = Project(Path(folder))
        left_out = shutil.ignore_patterns("*.tgz", ".made-of")
        shutil.copytree(project.root / "charts", copied.root / "charts", ignore=left_out)
        chart = copied.root / "charts/platform"
        pinned: set[str] = set()
        for file in sorted([*copied.root.glob("charts/*/values.yaml"), *chart.glob("values/*.yaml")]):
            text, names = pin(file.read_text(), release)
            file.write_text(text)
            pinned |= names
        if unused := set(release.digests) - pinned:
            raise CliError(f"no value names an image {', '.join(sorted(unused))}, which has a digest")
        fill_dependencies(copied)
        run(["helm", "package", str(chart), "--version", release.version, "--destination", str(output)])
    return output / f"platform-{release.version}.tgz"


def pin(text: str, release: Release) -> tuple[str, set[str]]:
    """Values in which every image of ours is the release's, comments as they were; and the names of those images.

    An image is a mapping with a repository and a tag. Raises CliError for one of ours that has no digest.
    """
    edits: list[tuple[int, int, str]] = []
    names = set()
    for image in _images(yaml.compose(text)):
        name = image["repository"].value.removeprefix(OURS)
        if name not in release.digests:
            raise CliError(f"the values name the image {OURS}{name}, of which the release has no digest")
        names.add(name)
        registry, _, path = release.images.partition("/")
        if "registry" in image:
            edits += [_replaced(image["registry"], registry), _replaced(image["repository"], f"{path}/{name}")]
        else:
            edits.append(_replaced(image["repository"], f"{release.images}/{name}"))
        edits.append(_replaced(image["tag"], f'"{release.version}"'))
        if "digest" in image:
            edits.append(_replaced(image["digest"], release.digests[name]))
        else:
            edits.append(_added(text, image["tag"], f"digest: {release.digests[name]}"))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text, names


def _images(node: yaml.Node | None, seen: set[int] | None = None) -> Iterator[dict[str, yaml.ScalarNode]]:
    """The scalar fields of every mapping that is an image of ours, each once, however many aliases it has."""
    seen = set() if seen is None else seen
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from _images(entry, seen)
    if isinstance(node, yaml.MappingNode):
        fields = {key.value: value for key, value in node.value if isinstance(value, yaml.ScalarNode)}
        if "tag" in fields and fields.get("repository", node).value[: len(OURS)] == OURS:
            yield fields
        for _, value in node.value:
            yield from _images(value, seen)


def _replaced(node: yaml.ScalarNode, new: str) -> tuple[int, int, str]:
    return node.start_mark.index, node.end_mark.index, new


def _added(text: str, beside: yaml.ScalarNode, field: str) -> tuple[int, int, str]:
    """The field after another of its mapping, which is on one line in braces, or has a line a field."""
    line = text[text.rfind("\n", 0, beside.start_mark.index) + 1 : beside.start_mark.index]
    in_braces = "{" in line
    end = beside.end_mark.index
    if in_braces:
        return end, end, f", {field}"
    indent = line[: len(line) - len(line.lstrip())]
    return end, end, f"\n{indent}{field}"
