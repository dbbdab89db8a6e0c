"""A fault, and where in an object it is.

A place is a path of keys; an item of a list goes by its `name`, its `mountPath` or its position, so that one fault is
at the same place in every profile's render.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
Path = tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """What is wrong, and what makes it so: a function that changes the objects of one render."""

    name: str
    apply: Callable[[list[Object]], None]


def matching(objects: list[Object], pattern: str) -> Iterator[Object]:
    """The objects of `Kind/name`, where a star at the end stands for any rest."""
    for o in objects:
        own = f"{o['kind']}/{o['metadata']['name']}"
        if own == pattern or (pattern.endswith("*") and own.startswith(pattern[:-1])):
            yield o


def item_key(item: Any, position: int) -> str:
    """How an item of a list goes in a path."""
    if isinstance(item, dict):
        for own in ("name", "mountPath"):
            if isinstance(item.get(own), str):
                return f"{own}={item[own]}"
    return str(position)


def parent(value: Any, path: Path) -> tuple[Any, Any] | None:
    """The container of the last step, and its key there; None where the path leads nowhere."""
    for step in path[:-1]:
        found = _index(value, step)
        if found is None:
            return None
        value = value[found]
    last = _index(value, path[-1])
    return None if last is None else (value, last)


def _index(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return step if step in value else None
    if isinstance(value, list):
        for position, item in enumerate(value):
            if item_key(item, position) == step:
                return position
    return None


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every field below, keys of maps and items of lists, with its path."""
    pairs: Any = []
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = ((item_key(item, n), item) for n, item in enumerate(value))
    for key, below in pairs:
        yield (*path, key), below
        yield from places(below, (*path, key))
