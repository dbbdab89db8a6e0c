"""What is newest goes by the data's time, also in a run that is done again; and what a run adds to Dagster's events."""

from __future__ import annotations

import json
from typing import Any

import obstore
import pytest
from dagster._serdes import serialize_value
from spatial_batches import collection, geojson_batch, point
from spatial_platform import Platform

from terrane.object_store import DATA_LAKE
from terrane.publishing import newest_commit, read_commit

pytestmark = pytest.mark.integration

# Of 20 kB, which lines of progress of a slower machine have to fit into as well.
ADDED_BYTES = 19_000


def newest(platform: Platform) -> str:
    commit = newest_commit(platform.lake, "places")
    assert commit
    return commit.batch_id


def item(platform: Platform, batch_id: str) -> dict[str, Any]:
    key = read_commit(platform.lake, "places", batch_id).object("item.json").key
    return json.loads(bytes(obstore.get(platform.lake, key).bytes()))


def test_a_batch_whose_data_are_older_is_not_the_newest_though_it_is_published_last(platform: Platform) -> None:
    platform.put("later", geojson_batch(), valid_from="2026-02-01")
    assert platform.run_next().success
    platform.put("earlier", geojson_batch(), datetime="2026-01-01T12:00:00+01:00")
    assert platform.run_next().success
    assert newest(platform) == "later"
    assert item(platform, "earlier")["properties"]["datetime"] == "2026-01-01T11:00:00Z"
    assert read_commit(platform.lake, "places", "later").data_time == "2026-02-01T00:00:00+00:00"


def test_a_batch_that_failed_and_is_done_again_after_a_newer_one_changes_nothing_of_that(platform: Platform) -> None:
    """Without a time of its own a batch has that at which its manifest was first seen."""
    platform.put("monday", geojson_batch())
    (monday,) = platform.requests()
    block = platform.store.folder() / DATA_LAKE / "places" / "monday"
    block.parent.mkdir(exist_ok=True)
    block.write_text("x")
    assert not platform.run(monday).success
    platform.put("tuesday", geojson_batch(places=collection([point(1, 1, name="new")])))
    assert platform.run_next().success
    block.unlink()
    assert platform.run(monday).success
    assert newest(platform) == "tuesday"
    times = {batch_id: item(platform, batch_id)["properties"]["datetime"] for batch_id in ("monday", "tuesday")}
    assert times["monday"] < times["tuesday"]


def test_a_run_adds_little_to_dagster_s_events(platform: Platform) -> None:
    platform.put_sample()
    result = platform.run_next()
    assert result.success
    added = 0
    for entry in platform.instance.all_logs(result.run_id):
        event = entry.dagster_event
        kind = event.event_type_value if event else "a line of the log"
        if kind in ("a line of the log", "ASSET_MATERIALIZATION", "ASSET_OBSERVATION", "ASSET_CHECK_EVALUATION"):
            added += len(serialize_value(entry))
    assert 2_000 < added < ADDED_BYTES
