"""Places come from the newest commit of the lake, whole, or stay as they are."""

import json
from datetime import UTC, datetime

import obstore
import pytest
from faulty_api import PLACES
from location import places_parquet, publish_places

from analytics.lake.places import load_places, newest_commit
from terrane.errors import Permanent, Temporary
from terrane.object_store import DATA_LAKE
from terrane.publishing import commit_key, publish

pytestmark = pytest.mark.integration


def count(warehouse):
    with warehouse.connect() as connection:
        return connection.execute("select count(*), min(name), max(continent) from raw.places").fetchone()


def load(store, warehouse):
    lake = store.bucket(DATA_LAKE)
    return load_places(lake, newest_commit(lake), warehouse)


def test_the_newest_batch_is_the_table(object_store, warehouse):
    publish_places(object_store, "first")
    assert load(object_store, warehouse) == len(PLACES)
    publish_places(object_store, "second", ("Abidjan", "Zürich"))
    assert load(object_store, warehouse) == 2
    assert count(warehouse) == (2, "Abidjan", "Europe")


def test_a_lake_without_places_says_what_to_materialise(folder_store):
    with pytest.raises(Permanent, match="materialise data_lake/places in the location spatial"):
        newest_commit(folder_store.bucket(DATA_LAKE))


def test_an_object_that_is_not_what_its_commit_says_changes_nothing(folder_store, warehouse):
    publish_places(folder_store, "first")
    load(folder_store, warehouse)
    commit = publish_places(folder_store, "second", ("Abidjan",))
    (folder_store.folder() / DATA_LAKE / commit.objects[0].key).write_bytes(b"else")
    with pytest.raises(Temporary, match="is not what its commit says"):
        load(folder_store, warehouse)
    assert count(warehouse)[0] == len(PLACES)


def test_a_batch_without_the_object_or_its_columns_changes_nothing(folder_store, warehouse):
    import pyarrow as pa
    import pyarrow.parquet as pq

    publish_places(folder_store, "first")
    load(folder_store, warehouse)
    lake = folder_store.bucket(DATA_LAKE)
    publish(lake, "places", "second", "run-2", {"other.parquet": b"x"})
    with pytest.raises(Permanent, match="has no object named places.parquet; it has other.parquet"):
        load(folder_store, warehouse)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"place_id": [1], "name": ["x"]}), sink)
    publish(lake, "places", "third", "run-3", {"places.parquet": sink.getvalue().to_pybytes()})
    with pytest.raises(Permanent, match="has no column country_iso_a3, country, continent, longitude, latitude"):
        load(folder_store, warehouse)
    assert count(warehouse)[0] == len(PLACES)


def test_an_older_batch_that_is_published_late_does_not_come_back(object_store, warehouse):
    lake = object_store.bucket(DATA_LAKE)
    for batch, day, name in (("tuesday", 6, "Zürich"), ("monday", 5, "Basel")):
        files = {"places.parquet": places_parquet((name,))}
        publish(lake, "places", batch, f"run-{batch}", files, data_time=datetime(2026, 1, day, tzinfo=UTC))
    load(object_store, warehouse)
    assert count(warehouse)[1] == "Zürich"


def test_a_batch_of_a_newer_release_is_refused_in_words(object_store, warehouse):
    lake = object_store.bucket(DATA_LAKE)
    key = commit_key("places", publish_places(object_store).batch_id)
    newer = json.loads(bytes(obstore.get(lake, key).bytes())) | {"version": 9}
    obstore.put(lake, key, json.dumps(newer).encode())
    with pytest.raises(Permanent, match="has version 9, and this release reads up to 1. Upgrade the location"):
        newest_commit(lake)
