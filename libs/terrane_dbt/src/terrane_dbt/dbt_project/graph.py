"""What the project's manifest says of its tables: which it builds, which it reads, and what its tests compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg

from terrane_dbt.dbt_project.same_tables import joined, relation_of

TABLES = ("model", "seed", "snapshot", "source")


@dataclass(frozen=True)
class Project:
    """Of the manifest, what runs and conditions go by.

    Attributes:
        sources: tables that something in the project reads and nothing in it makes; what nobody reads is none.
        tests: the name of each test to the tables it looks at.
        seeds_first: the project's seeds, where one of them is a source as well, or none.
        names: the key of each table to dbt's name of it, as `model.terrane.users`.
        manifest: dbt's, with one node for each table.
    """

    sources: frozenset[dg.AssetKey]
    tests: Mapping[str, frozenset[dg.AssetKey]]
    seeds_first: frozenset[dg.AssetKey]
    names: Mapping[dg.AssetKey, str]
    manifest: Mapping[str, Any] = field(repr=False)


def key_of(node: Mapping[str, Any]) -> dg.AssetKey:
    """Schema and table, by dbt's own account: a version of a model, and a model with an alias, has the table's name."""
    return dg.AssetKey(relation_of(node)[1:])


def read(manifest: Path) -> Project:
    """What the manifest says, read once for each content of it."""
    stat = manifest.stat()
    return _read(manifest, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _read(manifest: Path, _changed: int, _size: int) -> Project:
    # Read here: dagster-dbt keeps what it once read of a path, whatever the file says now.
    parsed, seeds_first = joined(json.loads(manifest.read_text()))
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
    seeds = frozenset(key for name, key in tables.items() if seeds_first and name.startswith("seed."))
    return Project(
        frozenset(tables[name] for name in read_by_tables),
        tests,
        seeds,
        {key: name for name, key in tables.items()},
        parsed,
    )


def relations(manifest: Path) -> dict[str, tuple[str, str]]:
    """Schema and table of each of dbt's names, as that manifest has them: those of an environment where it is one's.

    Costs reading the manifest, of however many models are built.
    """
    parsed = json.loads(manifest.read_text())
    nodes = parsed["nodes"] | parsed["sources"]
    return {name: relation_of(node)[1:] for name, node in nodes.items() if node["resource_type"] in TABLES}
