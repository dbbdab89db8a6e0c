"""Where in a YAML file something stands: for what is found wrong after Dagster has read the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dagster_shared.yaml_utils import parse_yamls_with_source_position

NAMES = ("defs.yaml", "defs.yml", "component.yaml")


def component_file(path: Path) -> Path:
    """The YAML file of the component in that folder, or of that path itself."""
    return next((path / name for name in NAMES if (path / name).is_file()), path)


def line_of(file: Path, path: Sequence[str | int], attributes: Mapping[str, Any]) -> int:
    """The line, from 1, of the deepest part of the path below `attributes` that the file has.

    Args:
        attributes: some that the component has, by which it is found among several of the file.
    """
    for document in parse_yamls_with_source_position(file.read_text(), str(file)):
        own = document.value.get("attributes") or {}
        if attributes.items() <= own.items():
            found, _ = document.source_position_tree.lookup_closest_and_path(["attributes", *path], None)
            return found.start.line
    return 1
