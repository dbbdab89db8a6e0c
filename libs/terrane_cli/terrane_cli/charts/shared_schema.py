"""What the charts' schemas share, written into each of them from one file, `charts/common/schema.json`.

A schema of Helm refers to nothing outside itself. So `definitions` of that file are put among each schema's own, those
it uses and no others, and the settings of a pod among the properties of every object with `$comment: "pod"`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from terrane_cli.charts.references import needed
from terrane_cli.project import Project

SHARED = "charts/common/schema.json"
WIDTH = 127
POD = "pod"


def schemas(project: Project) -> dict[Path, str]:
    """Each chart's schema as it is to be, by file."""
    shared = json.loads((project.root / SHARED).read_text())
    files = sorted((project.root / "charts").glob("*/values.schema.json"))
    return {file: _formatted(_joined(json.loads(file.read_text()), shared)) + "\n" for file in files}


def _joined(schema: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    own = {k: v for k, v in schema.pop("definitions", {}).items() if k not in shared["definitions"]}
    schema = _with_pod_settings(schema, shared[POD])
    own = _with_pod_settings(own, shared[POD])
    shown = needed({"schema": schema, "own": own}, shared["definitions"], "#/definitions/")
    return {**schema, "definitions": shown | own}


def _with_pod_settings(node: Any, settings: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_with_pod_settings(n, settings) for n in node]
    if not isinstance(node, dict):
        return node
    node = {key: _with_pod_settings(value, settings) for key, value in node.items()}
    if node.get("$comment") == POD:
        own = {k: v for k, v in node["properties"].items() if k not in settings}
        node["properties"] = own | settings
    return node


def _formatted(node: Any, indent: int = 0, used: int = 0) -> str:
    """JSON with everything on one line that fits there."""
    line = json.dumps(node, ensure_ascii=False)
    if not isinstance(node, dict | list) or (indent and indent + used + len(line) <= WIDTH):
        return line
    inner = indent + 2
    if isinstance(node, dict):
        parts = [f"{json.dumps(k)}: {_formatted(v, inner, len(k) + 4)}" for k, v in node.items()]
    else:
        parts = [_formatted(v, inner) for v in node]
    opened, closed = "{}" if isinstance(node, dict) else "[]"
    return f"{opened}\n{' ' * inner}" + f",\n{' ' * inner}".join(parts) + f"\n{' ' * indent}{closed}"
