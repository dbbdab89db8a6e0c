"""Where locations load, dbt itself is not imported, and what asks dagster-dbt for it still finds it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ASK = """
import json, sys
import terrane_dbt.components
print(json.dumps([name for name in ("dbt", "networkx") if name in sys.modules]))
"""
OTHERS = """
import json
import terrane_dbt.components
from dagster_dbt.utils import select_unique_ids
nodes = {f"model.shop.{name}": {"unique_id": f"model.shop.{name}", "name": name, "resource_type": "model",
    "fqn": ["shop", name], "tags": [name], "config": {"enabled": True, "tags": [name]}, "package_name": "shop",
    "original_file_path": f"models/{name}.sql", "depends_on": {"nodes": []}} for name in ("orders", "users")}
manifest = {"metadata": {"dbt_version": "1.11.16"}, "nodes": nodes, "sources": {}, "metrics": {}, "exposures": {},
    "child_map": {name: [] for name in nodes}}
print(json.dumps(sorted(select_unique_ids("tag:users", "", "", None, manifest))))
"""


def _answer(code: str) -> object:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_loading_the_components_imports_no_dbt() -> None:
    assert _answer(ASK) == []


def test_a_selection_of_somebody_else_s_is_made_by_dbt() -> None:
    assert _answer(OTHERS) == ["model.shop.users"]


def test_all_is_what_dbt_s_own_selector_finds(tmp_path: Path) -> None:
    from dagster_dbt.utils import select_unique_ids

    from terrane_dbt.dbt_project.light_import import all_is_selected
    from terrane_dbt.dbt_project.manifest import ensure_manifest

    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text(
        "name: shop\nprofile: shop\nmodels: {shop: {hidden: {+enabled: false}}}\n"
    )
    profile = "{type: postgres, host: h, port: 1, user: u, password: p, dbname: d, schema: s, threads: 1}"
    (tmp_path / "profiles.yml").write_text(f"shop: {{target: x, outputs: {{x: {profile}}}}}")
    (tmp_path / "models/alone.sql").write_text("select 1 as id")
    (tmp_path / "models/read.sql").write_text(
        "select * from {{ ref('alone') }} join {{ source('raw', 'users') }} using (id)"
    )
    (tmp_path / "models/hidden").mkdir()
    (tmp_path / "models/hidden/never.sql").write_text("select 1")
    tests = "columns: [{name: id, data_tests: [unique]}]"
    (tmp_path / "models/all.yml").write_text(
        f"sources: [{{name: raw, tables: [{{name: users, {tests}}}]}}]\nmodels: [{{name: alone, {tests}}}]\n"
        "unit_tests: [{name: one, model: alone, given: [], expect: {rows: [{id: 1}]}}]\n"
    )
    manifest = json.loads(ensure_manifest(tmp_path).read_text())
    by_dbt = select_unique_ids("fqn:*", "", "", None, manifest)
    with all_is_selected():
        ours = select_unique_ids("fqn:*", "", "", None, manifest)
    assert len(ours) == 4
    assert ours == {name for name in by_dbt if name in manifest["nodes"]}
