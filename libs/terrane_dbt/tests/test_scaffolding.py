"""`dg scaffold defs terrane_dbt.components.DbtModels days` writes a project that loads, and collides with no other."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

from terrane.postgres import PostgresResource
from terrane_dbt.components import DbtModels

pytestmark = pytest.mark.unit


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch):
    for name in ("DBT_PROFILES_DIR", *(f"WAREHOUSE_{part}" for part in ("HOST", "PORT", "USER", "PASSWORD", "DB"))):
        monkeypatch.delenv(name, raising=False)
    with create_defs_folder_sandbox() as made:
        yield made


def loaded(sandbox: DefsFolderSandbox, *names: str) -> dg.Definitions:
    parts = []
    for name in names:
        folder = sandbox.scaffold_component(DbtModels, defs_path=name)
        with sandbox.load_component_and_build_defs(defs_path=folder) as (_, made):
            parts.append(made)
    resources = {"warehouse": PostgresResource.from_env("WAREHOUSE")}
    return dg.Definitions.merge(*parts, dg.Definitions(resources=resources))


def test_what_is_written_loads_with_its_model_and_checks(sandbox: DefsFolderSandbox) -> None:
    graph = loaded(sandbox, "weeks").resolve_asset_graph()
    days = dg.AssetKey(["weeks", "days"])
    assert graph.materializable_asset_keys == {days}
    assert len(graph.get(days).check_keys) == 2


def test_two_projects_have_nothing_in_common(sandbox: DefsFolderSandbox) -> None:
    both = loaded(sandbox, "weeks", "months")
    assert both.resolve_asset_graph().materializable_asset_keys == {
        dg.AssetKey(["weeks", "days"]),
        dg.AssetKey(["months", "days"]),
    }
    manifests = sorted(sandbox.defs_folder_path.rglob("manifest.json"))
    assert [file.relative_to(sandbox.defs_folder_path).parts[0] for file in manifests] == ["months", "weeks"]
