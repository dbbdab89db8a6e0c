"""The locations meet at asset keys: every dependency is somebody's asset, and no asset is two locations'."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.unit

SNAPSHOT = Path(__file__).parent / "asset_graph.txt"
# What no location makes: it is put there from outside.
SOURCES = {"landing_zone/places"}
# Assets that a sensor requests: batch by batch as they land, and days as they end.
BY_SENSOR = {
    ("spatial", "manifests"): {"data_lake/places"},
    ("analytics", "missing_days"): {"raw/users", "raw/journal_entries"},
}
GROUPS = {"ingestion", "transformations", "exports", "internal", "serving"}

Locations = dict[str, dict[str, Any]]


def test_every_dependency_is_an_asset_of_some_location_or_a_declared_source(locations: Locations) -> None:
    made = {key for location in locations.values() for key in location["assets"]}
    wanted = {dep for location in locations.values() for a in location["assets"].values() for dep in a["deps"]}
    assert wanted - made == SOURCES


def test_no_asset_belongs_to_two_locations(locations: Locations) -> None:
    owners: dict[str, list[str]] = {}
    for name, location in locations.items():
        for key in location["assets"]:
            owners.setdefault(key, []).append(name)
    assert {key: names for key, names in owners.items() if len(names) > 1} == {}


def test_every_location_is_joined_to_another(locations: Locations) -> None:
    for name, location in locations.items():
        others = {key for other, described in locations.items() if other != name for key in described["assets"]}
        takes = {dep for a in location["assets"].values() for dep in a["deps"]} & others
        gives = {
            dep
            for other, described in locations.items()
            if other != name
            for a in described["assets"].values()
            for dep in a["deps"]
        } & set(location["assets"])
        assert takes | gives, f"{name} meets no other location"


def test_asset_keys_have_two_levels(locations: Locations) -> None:
    assert [key for location in locations.values() for key in location["assets"] if key.count("/") != 1] == []


@pytest.mark.parametrize("trait", ["group", "owners", "kinds", "tags", "description", "freshness"])
def test_every_asset_says_whose_it_is_and_what_for(locations: Locations, trait: str) -> None:
    silent = [key for location in locations.values() for key, asset in location["assets"].items() if not asset[trait]]
    assert silent == []


def test_assets_are_grouped_by_purpose(locations: Locations) -> None:
    assert {a["group"] for location in locations.values() for a in location["assets"].values()} <= GROUPS


def test_every_asset_runs_by_itself(locations: Locations) -> None:
    idle = {k for location in locations.values() for k, asset in location["assets"].items() if not asset["automation"]}
    by_sensor = {key for _, keys in BY_SENSOR.items() for key in keys}
    assert idle == by_sensor
    for (location, sensor), _ in BY_SENSOR.items():
        assert locations[location]["sensors"][sensor] == "RUNNING"


def test_every_location_evaluates_its_own_automation(locations: Locations) -> None:
    for name, location in locations.items():
        if any(asset["automation"] for asset in location["assets"].values()):
            assert location["sensors"].get(f"{name}_automation") == "RUNNING"


def test_the_jobs_people_were_promised_are_there(locations: Locations) -> None:
    assert "get_game_types_job" in locations["analytics"]["jobs"]
    assert "materialize_user_journal_features" in locations["features"]["jobs"]


def test_the_graph_is_the_one_that_was_reviewed(locations: Locations) -> None:
    """`UPDATE_SNAPSHOTS=1 make test` writes the file anew; its diff is what there is to review."""
    graph = _as_text(locations)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(graph)
    assert graph == SNAPSHOT.read_text()


def _as_text(locations: Locations) -> str:
    lines = []
    for name, location in locations.items():
        lines += ["", f"{name}:"] if lines else [f"{name}:"]
        for key, asset in location["assets"].items():
            partitions = f", {asset['partitions']}" if asset["partitions"] else ""
            lines.append(f"  {key}  ({asset['group']}, {asset['automation'] or 'by sensor'}{partitions})")
            lines += [f"    <- {dep}" for dep in asset["deps"]]
            lines += [f"    ?  {check}" for check in asset["checks"]]
    return "\n".join(lines) + "\n"
