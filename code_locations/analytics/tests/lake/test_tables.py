"""A table from the lake is the newest commit, whole, or stays as it is; tried with the places."""

import json
from datetime import UTC, datetime

import obstore
import pytest
from faulty_api import PLACES
from location import places_parquet, publish_places

from analytics.lake.tables import Published, load_table, newest_commit
from analytics.warehouse.loading import Whole
from analytics.warehouse.tables import Column, Table
from terrane.errors import Permanent, Temporary
from terrane.object_store import DATA_LAKE
from terrane.publishing import commit_key, publish

pytestmark = pytest.mark.integration

OF = Published("places", "places.parquet", "data_lake/places")
TEXTS = ("name", "country_iso_a3", "country", "continent")
TABLE = Table(
    "places",
    [
        Column("place_id", "bigint", ""),
        *(Column(name, "text", "") for name in TEXTS),
        *(Column(name, "double precision", "") for name in ("longitude", "latitude")),
    ],
    "place_id",
)


def count(warehouse):
    with warehouse.connect() as connection:
        return connection.execute("select count(*), min(name), max(continent) from raw.places").fetchone()


def load(store, warehouse, least_kept=0.0):
    lake = store.bucket(DATA_LAKE)
    return load_table(lake, newest_commit(lake, OF), OF, TABLE, warehouse, Whole(least_kept))


@pytest.mark.parametrize("left", [0, 19])
def test_an_empty_batch_and_one_that_lost_most_change_nothing(folder_store, warehouse, left):
    publish_places(folder_store, "first")
    load(folder_store, warehouse, 0.5)
    publish_places(folder_store, "second", PLACES[:left])
    with pytest.raises(Permanent, match=f"{left} rows came in for raw.places, which has 40"):
        load(folder_store, warehouse, 0.5)
    assert count(warehouse)[0] == len(PLACES) == 40
    publish_places(folder_store, "third", PLACES[:20])
    assert load(folder_store, warehouse, 0.5) == 20


def test_the_component_says_the_batch_and_takes_fewer_rows_when_it_is_allowed(location, places, folder_store):
    assert location.run("raw/places").success
    commit = publish_places(folder_store, "second", PLACES[:1])
    (message,) = location.failures(location.run("raw/places"))
    assert "run raw/places with the config allow_fewer_rows: true" in message
    result = location.run("raw/places", config={"raw__places": {"allow_fewer_rows": True}})
    assert result.success
    (event,) = result.get_asset_materialization_events()
    told = event.materialization.metadata
    assert (told["dagster/row_count"].value, told["batch_id"].value) == (1, commit.batch_id)


def test_the_newest_batch_is_the_table(object_store, warehouse):
    publish_places(object_store, "first")
    assert load(object_store, warehouse) == len(PLACES)
    publish_places(object_store, "second", ("Abidjan", "Zürich"))
    assert load(object_store, warehouse) == 2
    assert count(warehouse) == (2, "Abidjan", "Europe")


def test_a_lake_without_places_says_what_to_materialise(folder_store):
    with pytest.raises(Permanent, match="materialise data_lake/places, then run again"):
        newest_commit(folder_store.bucket(DATA_LAKE), OF)


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
        newest_commit(lake, OF)
