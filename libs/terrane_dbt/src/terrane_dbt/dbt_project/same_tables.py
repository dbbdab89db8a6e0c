"""One asset for each table, also where a project names it twice: as a source and as what it builds, or as two sources.

dbt itself takes them for different things, and builds a model of the source at the same time as the seed that fills
it. Here the source is the seed: what reads it comes after it, and seeds are built before all else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Relation = tuple[str, str, str]


def joined(manifest: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The manifest with one node for each table, and whether a seed of it is a source as well.

    A source stands for what builds its table, or for the first of the sources that name it: whatever depends on it
    depends on that. Costs one look at each node.
    """
    built = {
        relation_of(node): name
        for name, node in manifest["nodes"].items()
        if node["resource_type"] in ("model", "seed", "snapshot") and node["config"]["materialized"] != "ephemeral"
    }
    first: dict[Relation, str] = {}
    instead: dict[str, str] = {}
    for name, source in manifest["sources"].items():
        relation = relation_of(source)
        stands_for = built.get(relation) or first.setdefault(relation, name)
        if stands_for != name:
            instead[name] = stands_for
    if not instead:
        return dict(manifest), False
    nodes = {name: _with(name, node, instead) for name, node in manifest["nodes"].items()}
    sources = {name: source for name, source in manifest["sources"].items() if name not in instead}
    parents = {
        name: _others(name, found, instead) for name, found in manifest["parent_map"].items() if name not in instead
    }
    children: dict[str, list[str]] = {name: [] for name in parents}
    for name, found in parents.items():
        for parent in found:
            children.setdefault(parent, []).append(name)
    changed = {"nodes": nodes, "sources": sources, "parent_map": parents, "child_map": children}
    return {**manifest, **changed}, any(name.startswith("seed.") for name in instead.values())


def relation_of(node: Mapping[str, Any]) -> Relation:
    """Database, schema and table, as dbt has them."""
    table = node["identifier"] if node["resource_type"] == "source" else node["alias"]
    return node["database"] or "", node["schema"], table


def _with(name: str, node: Mapping[str, Any], instead: Mapping[str, str]) -> dict[str, Any]:
    depends_on = node.get("depends_on") or {}
    changed = {**depends_on, "nodes": _others(name, depends_on.get("nodes", ()), instead)}
    attached = node.get("attached_node")
    own = {"attached_node": instead.get(attached, attached)} if attached else {}
    return {**node, "depends_on": changed, **own}


def _others(own: str, names: Iterable[str], instead: Mapping[str, str]) -> list[str]:
    """What a node depends on; a model that reads its own table as a source does not come after itself."""
    return [name for name in dict.fromkeys(instead.get(name, name) for name in names) if name != own]
