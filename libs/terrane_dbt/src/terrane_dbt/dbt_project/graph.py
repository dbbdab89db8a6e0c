"""What the project's manifest says of its tables: which it builds, which it reads, and what its tests compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg

TABLES = ("model", "seed", "snapshot", "source")


@dataclass(frozen=True)
class Project:
    """Of the manifest, what runs and conditions go by.

    Attributes:
        sources: tables that something in the project reads and nothing in it makes; what nobody reads is none.
        tests: the name of each test to the tables it looks at.
    """

    sources: frozenset[dg.AssetKey]
    tests: Mapping[str, frozenset[dg.AssetKey]]


def key_of(node: Mapping[str, Any]) -> dg.AssetKey:
    """Schema and table: a version of a model, and a model with an alias, has the table's name."""
    return dg.AssetKey([node["schema"], node["name"] if node["resource_type"] == "source" else node["alias"]])


def read(manifest: Path) -> Project:
    """What the manifest says, read once for each content of it."""
    stat = manifest.stat()
    return _read(manifest, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _read(manifest: Path, _changed: int, _size: int) -> Project:
    parsed = json.loads(manifest.read_text())
    nodes = parsed["nodes"] | parsed["sources"]
    tables = {name: key_of(node) for name, node in nodes.items() if node["resource_type"] in TABLES}
    read_by_tables = {
        parent for name in tables for parent in parsed["parent_map"].get(name, ()) if parent.startswith("source.")
    }
    tests = {
        node["name"]: frozenset(tables[on] for on in node["depends_on"]["nodes"] if on in tables)
        for node in nodes.values()
        if node["resource_type"] == "test"
    }
    return Project(frozenset(tables[name] for name in read_by_tables), tests)
