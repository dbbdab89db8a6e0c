"""The locations meet at asset keys: every dependency is somebody's asset, and no asset is two locations'."""

from __future__ import annotations

import os
from typing import Any

import pytest

from terrane_cli.project import Project

pytestmark = pytest.mark.unit

# Beside each location.yaml: what was reviewed of the location.
REVIEWED = "asset_graph.txt"
GROUPS = {"ingestion", "transformations", "exports", "internal", "serving"}

Locations = dict[str, dict[str, Any]]


def test_every_dependency_is_an_asset_of_some_location_or_a_declared_source(locations: Locations) -> None:
    made = {key for location in locations.values() for key in location["assets"]}
    wanted = {dep for location in locations.values() for a in location["assets"].values() for dep in a["deps"]}
    sources = {key for location in locations.values() for key in location["sources"]}
    assert wanted - made - sources == set()
    assert sources & made == set()


def test_no_asset_belongs_to_two_locations(locations: Locations) -> None:
    owners: dict[str, list[str]] = {}
    for name, location in locations.items():
        for key in location["assets"]:
            owners.setdefault(key, []).append(name)
    assert {key: names for key, names in owners.items() if len(names) > 1} == {}


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
    by_sensor = {
        key
        for location in locations.values()
        for sensor, keys in location["requested"].items()
        if location["sensors"][sensor] == "RUNNING"
        for key in keys
    }
    assert idle - by_sensor == set()


def test_every_location_evaluates_its_own_automation(locations: Locations) -> None:
    for name, location in locations.items():
        if any(asset["automation"] for asset in location["assets"].values()):
            assert location["sensors"].get(f"{name}_automation") == "RUNNING"


def test_what_was_reviewed_of_a_location_is_as_it_was(locations: Locations, project: Project) -> None:
    """What is new is not looked at: a dataset or a model that is added breaks nothing.

    `UPDATE_SNAPSHOTS=1 make test` writes the files anew; their diff is what there is to review.
    """
    files = {name: project.location_folder(name) / REVIEWED for name in locations}
    for name, file in files.items():
        if os.environ.get("UPDATE_SNAPSHOTS"):
            file.write_text("\n".join(_as_text(locations[name])) + "\n")
    reviewed = {name: file.read_text() for name, file in files.items() if file.exists()}
    assert reviewed
    changed = {name: _changes(text, _as_text(locations[name])) for name, text in reviewed.items()}
    assert {name: lines for name, lines in changed.items() if lines} == {}


@pytest.mark.parametrize("gone", ["asset", "check", "job", "dependency"])
def test_what_is_gone_since_a_review_is_seen_and_what_is_new_is_not(gone: str) -> None:
    described: dict[str, Any] = {
        "jobs": ["nightly"],
        "assets": {
            "raw/a": {"group": "g", "automation": "eager", "partitions": None, "deps": ["x/y"], "checks": ["c"]}
        },
    }
    asset = described["assets"]["raw/a"]
    another = {"raw/a": {**asset, "checks": ["b", "c"]}, "raw/b": asset}
    more: dict[str, Any] = {"jobs": ["nightly", "weekly"], "assets": another}
    reviewed = "\n".join(_as_text(described))
    assert _changes(reviewed, _as_text(more)) == []
    less: dict[str, Any] = {
        "asset": {**described, "assets": {}},
        "job": {**described, "jobs": []},
        "check": {**described, "assets": {"raw/a": {**asset, "checks": []}}},
        "dependency": {**described, "assets": {"raw/a": {**asset, "deps": []}}},
    }
    assert len(_changes(reviewed, _as_text(less[gone]))) > 0


def _changes(reviewed: str, lines: list[str]) -> list[str]:
    """What was reviewed and is not there in the same words: jobs, assets, their dependencies and checks."""
    now = set(_qualified(lines))
    return [line for line in _qualified(reviewed.splitlines()) if line not in now]


def _qualified(lines: list[str]) -> list[str]:
    """Each line, and before an indented one the asset that it is of."""
    qualified, of = [], ""
    for line in lines:
        of = of if line.startswith(" ") else line
        qualified.append(f"{of}{line}" if line.startswith(" ") else line)
    return qualified


def _as_text(location: dict[str, Any]) -> list[str]:
    lines = [f"job {name}" for name in location["jobs"]]
    for key, asset in location["assets"].items():
        partitions = f", {asset['partitions']}" if asset["partitions"] else ""
        lines.append(f"{key}  ({asset['group']}, {asset['automation'] or 'by sensor'}{partitions})")
        lines += [f"  <- {dep}" for dep in asset["deps"]]
        lines += [f"  ?  {check}" for check in asset["checks"]]
    return lines
