"""README.md of each chart, from Chart.yaml and from the comments of values.yaml.

A value is described by the comment right above its key, or behind it on its line; the comment at the top of the file is
the chart's. `python -m terrane_cli.charts.documentation` writes all of them, and what the charts' schemas share.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from terrane_cli import generated
from terrane_cli.charts.shared_schema import schemas
from terrane_cli.project import Project

# The official chart's values, of which only those with a reason of ours are told.
NOT_OURS = "dagster"
LONGEST_DEFAULT = 60


@dataclass(frozen=True)
class Value:
    """One value, by its path from the top."""

    path: str
    default: str
    description: str


def readmes(project: Project) -> dict[Path, str]:
    """The text of each chart's README, by file."""
    folders = sorted(file.parent for file in (project.root / "charts").glob("*/values.yaml"))
    return {folder / "README.md": _readme(folder) for folder in folders}


def values(text: str) -> list[Value]:
    """The values of a values.yaml, in its order."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return list(_values(node, text.splitlines(), text, "")) if isinstance(node, yaml.MappingNode) else []


def _readme(folder: Path) -> str:
    chart = yaml.safe_load((folder / "Chart.yaml").read_text())
    text = (folder / "values.yaml").read_text()
    lines = [f"# {chart['name']}", "", f"{chart['description']}. Version {chart['version']}, of {_application(chart)}."]
    lines += ["", _described(_opening(text)), "", *_dependencies(chart)]
    lines += ["## Values", "", "| value | default | what it is |", "|---|---|---|"]
    lines += [f"| `{v.path}` | {_code(v.default)} | {_described(v.description)} |" for v in values(text)]
    lines += ["", "Written by `make docs` from values.yaml; changes belong there.", ""]
    return "\n".join(lines)


def _application(chart: dict[str, Any]) -> str:
    name = "Dagster" if chart["name"] == "platform" else chart["name"].capitalize()
    return f"{name} {chart['appVersion']}"


def _dependencies(chart: dict[str, Any]) -> list[str]:
    rows = [
        f"| {d.get('alias', d['name'])} | {d['name']} {d['version']} | {_code(d.get('condition', ''))} |"
        for d in chart.get("dependencies", [])
    ]
    return ["## Charts it is made of", "", "| as | chart | on by |", "|---|---|---|", *rows, ""] if rows else []


def _opening(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return " ".join(lines)


def _values(node: yaml.MappingNode, lines: list[str], text: str, prefix: str) -> Iterator[Value]:
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        description = "" if node.flow_style else _comment(lines, key.start_mark.line, key.start_mark.column)
        # An alias stands for what is written elsewhere in the file.
        own = value.start_mark.index >= key.start_mark.index
        if own and isinstance(value, yaml.MappingNode) and _is_long(value, text):
            if description:
                yield Value(path, "", description)
            yield from _values(value, lines, text, f"{path}.")
        elif description or not path.startswith(f"{NOT_OURS}."):
            yield Value(path, _default(value, text) if own else "", description)


def _is_long(value: yaml.Node, text: str) -> bool:
    """Whether it is written over several lines, or would be."""
    block = isinstance(value, yaml.CollectionNode) and not value.flow_style and bool(value.value)
    return block or len(_written(value, text)) > LONGEST_DEFAULT


def _written(value: yaml.Node, text: str) -> str:
    return re.sub(r"^&\w+ ", "", " ".join(text[value.start_mark.index : value.end_mark.index].split()))


def _default(value: yaml.Node, text: str) -> str:
    return "..." if _is_long(value, text) else _written(value, text)


def _comment(lines: list[str], line: int, column: int) -> str:
    """What is said of the key at that place."""
    if behind := re.search(r"\s#\s(.*)$", lines[line][column:]):
        return behind[1].strip()
    above = []
    indent = " " * column + "#"
    while line and lines[line - 1].startswith(indent):
        line -= 1
        above.insert(0, lines[line].strip().lstrip("#").strip())
    # The comment at the top of the file is the chart's.
    return " ".join(above) if line or not above else ""


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`" if text else ""


def _described(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;") if "`" not in text else text.replace("|", r"\|")


if __name__ == "__main__":
    here = Project.here()
    for written in generated.write(schemas(here) | readmes(here)):
        print(written.relative_to(here.root))
