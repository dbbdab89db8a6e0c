"""What `dg scaffold defs` writes for our components: a working example, not an empty form.

A library keeps what an example has beside its YAML in `example/`, as files that end with `.in`: `$NAME` in a path or a
text is the name. `make location` fills the same files.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

SUFFIX = ".in"


def fill(templates: Path, target: Path, words: Mapping[str, str]) -> None:
    """Writes every file of the folder of templates below the target, with the words in their places."""
    for file in sorted(templates.rglob(f"*{SUFFIX}")):
        relative = str(file.relative_to(templates)).removesuffix(SUFFIX).replace("NAME", words["NAME"])
        written = target / relative
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(string.Template(file.read_text()).substitute(words))


def name_of(request: dg.ScaffoldRequest) -> str:
    """A name for what is made, from the folder that is asked for: letters, digits and `_`, first a letter."""
    name = re.sub(r"\W+", "_", request.target_path.name).strip("_").lower()
    return name if name[:1].isalpha() else f"new_{name}"


def in_project(request: dg.ScaffoldRequest, folder: str) -> str:
    """The path of a folder beside the YAML file, from the location's own."""
    place = request.target_path / folder
    root = request.project_root
    return str(place.relative_to(root)) if root and place.is_relative_to(root) else str(place)
