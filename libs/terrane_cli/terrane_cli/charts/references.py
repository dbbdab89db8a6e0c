"""What a JSON schema refers to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]


def references(node: Any) -> Iterator[Schema]:
    """Every object of a schema that holds a `$ref`."""
    if isinstance(node, dict) and isinstance(node.get("$ref"), str):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from references(value)


def needed(node: Any, known: Schema, prefix: str) -> Schema:
    """Of the known definitions those that are referred to as `prefix` and their name, and those that they refer to."""
    taken: Schema = {}
    wanted = [node]
    while wanted:
        named = (holder["$ref"] for holder in references(wanted) if holder["$ref"].startswith(prefix))
        names = {name.removeprefix(prefix).split("/")[0] for name in named}
        new = {name: known[name] for name in names if name in known and name not in taken}
        taken |= new
        wanted = list(new.values())
    return {name: value for name, value in known.items() if name in taken}
