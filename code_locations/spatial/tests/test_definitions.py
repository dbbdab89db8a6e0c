"""The location's definitions: what they name, what they promise, and what they do not import."""

from __future__ import annotations

import json
import subprocess
import sys

import dagster as dg
import pytest

from spatial.definitions import defs

pytestmark = pytest.mark.unit

HEAVY = ["pyogrio", "geopandas", "shapely", "pyarrow", "pandas", "numpy", "PIL", "rasterio", "pystac", "pyproj"]
# boto3 is not among them: Dagster reads the component registry of dagster-aws, and that imports it.
HEAVY += ["kubernetes", "obstore", "psycopg", "adbc_driver_postgresql", "feast", "dbt"]
LIST_MODULES = "import sys, json, spatial.definitions as d; d.defs(); print(json.dumps(sorted(sys.modules)))"


def test_loading_definitions_imports_nothing_heavy_and_needs_no_environment() -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", LIST_MODULES], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(set(HEAVY) & set(json.loads(done.stdout))) == []


def test_every_asset_says_who_owns_it_what_it_is_and_how_fresh_it_must_be() -> None:
    specs = {spec.key.to_user_string(): spec for spec in defs().resolve_all_asset_specs()}
    assert set(specs) >= {"data_lake/places", "landing_zone/places", "stac/places"}
    for spec in specs.values():
        assert spec.owners == ["team:spatial"]
        assert spec.kinds
        assert spec.tags["domain"] == "spatial"
        assert spec.description
        assert spec.group_name in ("ingestion", "transformations", "internal")
        assert spec.freshness_policy or spec.metadata["freshness"]
    assert [d.asset_key.path for d in specs["data_lake/places"].deps] == [["landing_zone", "places"]]


def test_a_run_has_three_steps_in_order() -> None:
    job = defs().resolve_implicit_global_asset_job_def()
    graph = job.graph.node_named("data_lake__places").definition
    assert isinstance(graph, dg.GraphDefinition)
    assert graph.dependency_structure
    assert [node.name for node in graph.nodes_in_topological_order] == ["load", "transform", "export"]


def test_the_sensors_run_by_themselves_and_often_enough() -> None:
    sensors = {sensor.name: sensor for sensor in defs().sensors or []}
    assert sorted(sensors) == ["cancelled_runs", "failed_runs", "manifests", "spatial_automation"]
    assert {s.default_status for s in sensors.values()} == {dg.DefaultSensorStatus.RUNNING}
    assert sensors["manifests"].minimum_interval_seconds == 5
    schedules = {schedule.name: schedule for schedule in defs().schedules or []}
    assert sorted(schedules) == ["places_retention_schedule", "sweeps"]


def test_runs_are_in_one_process_unless_told_otherwise() -> None:
    assert defs().executor is dg.in_process_executor
