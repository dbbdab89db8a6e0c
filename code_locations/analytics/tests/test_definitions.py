"""What every asset of the location carries, and what loading the definitions costs."""

import os
import subprocess
import sys

import dagster as dg
import pytest
from dagster_dbt import DbtCliResource

from analytics.definitions import defs
from terrane_dbt.dbt_project.cli import LeanDbtCli

pytestmark = pytest.mark.unit

GROUPS = {"ingestion", "transformations", "exports"}
HEAVY = ("feast", "pyarrow", "pandas", "kubernetes", "geopandas", "pyogrio", "PIL", "rasterio", "pystac")


@pytest.fixture(scope="module")
def definitions():
    return defs()


@pytest.fixture(scope="module")
def assets(definitions):
    graph = definitions.resolve_asset_graph()
    return {key.to_user_string(): graph.get(key) for key in graph.materializable_asset_keys}


def test_the_location_makes_these_assets_and_needs_one_of_another(definitions, assets):
    assert set(assets) >= {
        "raw/users",
        "raw/journal_entries",
        "raw/game_types",
        "raw/places",
        "staging/users",
        "staging/journal_entries",
        "staging/game_types",
        "staging/places",
        "intermediate/located_entries",
        "intermediate/as_of",
        "gold/user_journal_features",
        "gold/journal_activity_daily",
        "exports/user_journal_features",
    }
    outside = definitions.resolve_asset_graph().external_asset_keys
    assert "data_lake/places" in {key.to_user_string() for key in outside}


def test_every_asset_says_whose_it_is_what_it_is_and_how_fresh_it_should_be(assets):
    for name, asset in assets.items():
        assert asset.owners == ["team:analytics"], name
        assert asset.tags["domain"] == "analytics", name
        assert asset.kinds, name
        assert asset.description, name
        assert asset.group_name in GROUPS, name
        assert asset.freshness_policy or asset.metadata.get("freshness"), name
        assert len(asset.key.path) == 2, name


def test_dbts_models_hang_on_the_raw_tables(assets):
    upstream = {name: {key.to_user_string() for key in asset.parent_keys} for name, asset in assets.items()}
    for table in ("users", "journal_entries", "game_types", "places"):
        assert f"raw/{table}" in upstream[f"staging/{table}"]
    assert upstream["raw/places"] == {"data_lake/places"}
    assert upstream["exports/user_journal_features"] == {"gold/user_journal_features"}


def test_tests_of_dbt_are_checks_of_its_models(definitions):
    checks = {(k.asset_key.to_user_string(), k.name) for k in definitions.resolve_asset_graph().asset_check_keys}
    assert ("gold/user_journal_features", "unique_user_journal_features_user_id") in checks
    assert ("gold/user_journal_features", "gold_counts_every_entry_once") in checks
    assert ("raw/journal_entries", "entries_are_by_known_users") in checks


def test_runs_are_in_one_process_and_automation_runs_by_itself(definitions):
    assert definitions.executor is dg.in_process_executor
    sensors = {sensor.name: sensor for sensor in definitions.sensors or ()}
    assert set(sensors) == {"analytics_automation", "missing_days"}
    assert all(s.default_status is dg.DefaultSensorStatus.RUNNING for s in sensors.values())


def test_loading_imports_nothing_heavy_and_no_dbt():
    script = "import analytics.definitions as d, sys; d.defs(); print(*sys.modules)"
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "dagster_dbt" in modules
    assert modules.isdisjoint({*HEAVY, "dbt", "networkx"})


def test_what_the_lean_command_line_leaves_out_is_still_called_so():
    for name in ("_cli_version", "_initialize_dbt_core_adapter"):
        assert name in vars(DbtCliResource), f"dagster-dbt has no {name} any more: see terrane_dbt/dbt_project/cli.py"
        assert name in vars(LeanDbtCli)
