"""Which of dbt's nodes are one table, and what then depends on what."""

from __future__ import annotations

from typing import Any

import pytest

from terrane_dbt.dbt_project.same_tables import joined

pytestmark = pytest.mark.unit


def node(kind: str, name: str, *parents: str, schema: str = "shop", materialized: str = "table") -> dict[str, Any]:
    return {
        "resource_type": kind,
        "database": "db",
        "schema": schema,
        "alias": name,
        "config": {"materialized": materialized},
        "depends_on": {"nodes": list(parents), "macros": []},
    }


def source(name: str, schema: str = "shop") -> dict[str, Any]:
    return {"resource_type": "source", "database": "db", "schema": schema, "identifier": name}


def manifest(nodes: dict[str, Any], sources: dict[str, Any]) -> dict[str, Any]:
    parents = {name: each["depends_on"]["nodes"] for name, each in nodes.items()} | {name: [] for name in sources}
    return {"nodes": nodes, "sources": sources, "parent_map": parents, "child_map": {}}


def test_what_reads_a_source_that_is_a_seed_comes_after_the_seed() -> None:
    nodes = {
        "seed.shop.things": node("seed", "things"),
        "model.shop.all": node("model", "all", "source.shop.raw.things"),
        "test.shop.unique": {
            **node("test", "unique", "source.shop.raw.things"),
            "attached_node": "source.shop.raw.things",
        },
    }
    found, seeds_first = joined(manifest(nodes, {"source.shop.raw.things": source("things")}))
    assert seeds_first
    assert found["sources"] == {}
    assert found["nodes"]["model.shop.all"]["depends_on"] == {"nodes": ["seed.shop.things"], "macros": []}
    assert found["nodes"]["test.shop.unique"]["attached_node"] == "seed.shop.things"
    assert found["child_map"]["seed.shop.things"] == ["model.shop.all", "test.shop.unique"]


def test_two_sources_of_one_table_are_the_first() -> None:
    nodes = {"model.shop.all": node("model", "all", "source.shop.a.things", "source.shop.b.things")}
    sources = {"source.shop.a.things": source("things", "raw"), "source.shop.b.things": source("things", "raw")}
    found, seeds_first = joined(manifest(nodes, sources))
    assert not seeds_first
    assert list(found["sources"]) == ["source.shop.a.things"]
    assert found["nodes"]["model.shop.all"]["depends_on"]["nodes"] == ["source.shop.a.things"]


def test_a_model_that_is_no_table_stands_for_no_source() -> None:
    nodes = {
        "model.shop.things": node("model", "things", materialized="ephemeral"),
        "model.shop.all": node("model", "all", "source.shop.raw.things"),
    }
    found, _ = joined(manifest(nodes, {"source.shop.raw.things": source("things")}))
    assert found["nodes"]["model.shop.all"]["depends_on"]["nodes"] == ["source.shop.raw.things"]


def test_a_model_that_reads_its_own_table_as_a_source_does_not_come_after_itself() -> None:
    nodes = {"model.shop.things": node("model", "things", "source.shop.raw.things", "source.shop.raw.others")}
    sources = {"source.shop.raw.things": source("things"), "source.shop.raw.others": source("others")}
    found, _ = joined(manifest(nodes, sources))
    assert found["parent_map"]["model.shop.things"] == ["source.shop.raw.others"]


def test_where_no_table_is_named_twice_nothing_changes() -> None:
    nodes = {"model.shop.all": node("model", "all", "source.shop.raw.things")}
    given = manifest(nodes, {"source.shop.raw.things": source("things", "raw")})
    assert joined(given) == (given, False)
