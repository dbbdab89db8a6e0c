"""A dataset's collection and index: what stock readers of STAC make of it, and that no batch is missing from it."""

from __future__ import annotations

import hashlib
import io
import json
import math
import multiprocessing
import posixpath
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import geopandas as gpd
import geoparquet_validator
import obstore
import pyarrow.parquet as pq
import pystac
import pytest
import stac_geoparquet.arrow
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.table import TableExtension
from spatial_platform import Platform

from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.publishing import publish, read_commit
from terrane_spatial.publishing import stac, stac_index
from terrane_spatial.publishing.geoparquet import Written

pytestmark = pytest.mark.integration

INDEX, COLLECTION = "wells/_index/items.parquet", "wells/_index/collection.json"
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def publish_one(lake: Any, number: int, run_id: str = "run") -> None:
    """A batch of one table, whose item lies `number` degrees east and is as many days old."""
    name = f"batch-{number:02}"
    table = Written(Path("wells.parquet"), 1, (number, 0.0, number + 1.0, 1.0), ["Point"], {"geometry": "binary"})
    files: dict[str, Path | bytes] = {"wells.parquet": name.encode()}
    assert table.bounds
    about = stac.About("wells", name, "Wells.", FIRST + timedelta(days=number), table.bounds)
    item = stac.item_json(about, files, {"wells.parquet": table})
    publish(lake, "wells", name, run_id, {**files, stac.ITEM_FILE: item})


def read(lake: Any, key: str) -> bytes:
    return bytes(obstore.get(lake, key).bytes())


def items_in(lake: Any) -> list[dict[str, Any]]:
    """The index's items as the reference implementation reads them."""
    table = pq.read_table(io.BytesIO(read(lake, INDEX)))
    return list(stac_geoparquet.arrow.stac_table_to_items(table))


def test_the_index_is_stac_geoparquet_that_stock_readers_read(folder_store: ObjectStoreResource) -> None:
    lake = folder_store.bucket(DATA_LAKE)
    for number in (2, 0, 1):
        publish_one(lake, number)
    assert stac_index.refresh(lake, "wells", "Wells.") == 3

    data = read(lake, INDEX)
    assert geoparquet_validator.failed(geoparquet_validator.check_bytes("items", data)) == []
    source: Any = io.BytesIO(data)
    frame = gpd.read_parquet(source)
    assert frame.id.tolist() == ["batch-00", "batch-01", "batch-02"]
    assert frame.total_bounds.tolist() == [0, 0, 3, 1]
    assert frame.crs == "OGC:CRS84"
    told = json.loads(pq.read_metadata(io.BytesIO(data)).metadata[b"stac-geoparquet"])
    assert (told["version"], list(told["collections"])) == ("1.0.0", ["wells"])

    for fields in items_in(lake):
        item = pystac.Item.from_dict(fields)
        (asset,) = item.assets.values()
        place = posixpath.normpath(posixpath.join("wells/_index", asset.href))
        assert read(lake, place) == item.id.encode()
        assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(item.id.encode()).hexdigest()
        assert pystac.Item.from_dict({**fields, "stac_extensions": []}).validate()


def test_the_collection_is_valid_and_leads_to_every_item(folder_store: ObjectStoreResource) -> None:
    lake = folder_store.bucket(DATA_LAKE)
    for number in (0, 1):
        publish_one(lake, number)
    stac_index.refresh(lake, "wells", "Wells.")
    path = folder_store.folder() / DATA_LAKE / COLLECTION
    collection = pystac.Collection.from_file(str(path))
    assert collection.validate()
    assert collection.extent.spatial.bboxes == [[0, 0, 2, 1]]
    assert collection.extent.temporal.intervals == [[FIRST, FIRST + timedelta(days=1)]]
    items = list(collection.get_items())
    assert [item.id for item in items] == ["batch-00", "batch-01"]
    assert [Path(a.get_absolute_href() or "").read_bytes() for i in items for a in i.assets.values()] == [
        b"batch-00",
        b"batch-01",
    ]
    assert items[0].get_collection() is collection


def publish_many(store: dict[str, Any], numbers: list[int], barrier: Any) -> None:
    lake = ObjectStoreResource(**store).bucket(DATA_LAKE)
    barrier.wait()
    for number in numbers:
        publish_one(lake, number)
        stac_index.refresh(lake, "wells", "Wells.")


@pytest.mark.slow
def test_no_batch_is_missing_however_many_publish_at_once(object_store: ObjectStoreResource) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(3)
    store = object_store.model_dump(include={"endpoint", "access_key", "secret_key"})
    processes = [
        spawn.Process(target=publish_many, args=(store, numbers, barrier))
        for numbers in ([0, 3, 6], [1, 4, 7], [2, 5, 8])
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    lake = object_store.bucket(DATA_LAKE)
    everyone = [f"batch-{number:02}" for number in range(9)]
    assert (ids_in(lake), titles_in(lake)) == (everyone, everyone)


def ids_in(lake: Any) -> list[str]:
    return [item["id"] for item in items_in(lake)]


def titles_in(lake: Any) -> list[str]:
    return [link["title"] for link in json.loads(read(lake, COLLECTION))["links"]]


@pytest.mark.parametrize("lost", [INDEX, COLLECTION])
@pytest.mark.parametrize("damage", ["gone", "no index", "of an earlier release"])
def test_what_is_lost_or_damaged_is_made_anew_of_the_commits(
    folder_store: ObjectStoreResource, lost: str, damage: str
) -> None:
    lake = folder_store.bucket(DATA_LAKE)
    for number in (0, 1):
        publish_one(lake, number)
    stac_index.refresh(lake, "wells", "Wells.")
    if damage == "gone":
        obstore.delete(lake, lost)
    elif damage == "no index":
        obstore.put(lake, lost, b"{")
    else:
        sink = io.BytesIO()
        pq.write_table(pq.read_table(io.BytesIO(read(lake, INDEX))).drop_columns([stac_index.COMMIT]), sink)
        obstore.put(lake, INDEX, sink.getvalue())
    publish_one(lake, 2)
    assert stac_index.refresh(lake, "wells", "Wells.") == 3
    everyone = ["batch-00", "batch-01", "batch-02"]
    assert (ids_in(lake), titles_in(lake)) == (everyone, everyone)


def test_a_batch_that_is_gone_or_was_published_anew_is_so_in_the_index(folder_store: ObjectStoreResource) -> None:
    lake = folder_store.bucket(DATA_LAKE)
    for number in range(3):
        publish_one(lake, number)
    stac_index.refresh(lake, "wells", "Wells.")
    before = {item["id"]: item["assets"]["wells.parquet"]["href"] for item in items_in(lake)}
    for batch_id in ("batch-00", "batch-01"):
        obstore.delete(lake, f"wells/_commits/{batch_id}.json")
    publish_one(lake, 1)
    assert stac_index.refresh(lake, "wells", "Wells.") == 2
    after = {item["id"]: item["assets"]["wells.parquet"]["href"] for item in items_in(lake)}
    assert list(after) == ["batch-01", "batch-02"]
    assert after["batch-01"] != before["batch-01"]
    assert after["batch-02"] == before["batch-02"]


def test_a_commit_that_cannot_be_read_leaves_its_batch_out_and_no_other(folder_store: ObjectStoreResource) -> None:
    lake = folder_store.bucket(DATA_LAKE)
    for number in range(2):
        publish_one(lake, number)
    obstore.put(lake, "wells/_commits/batch-00.json", b"{")
    assert stac_index.refresh(lake, "wells", "Wells.") == 1
    assert ids_in(lake) == ["batch-01"]


def test_an_index_reads_only_what_is_new(folder_store: ObjectStoreResource, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = folder_store.bucket(DATA_LAKE)
    for number in range(5):
        publish_one(lake, number)
    stac_index.refresh(lake, "wells", "Wells.")
    publish_one(lake, 5)
    whole, keys = obstore.get, []

    def get(store: Any, key: str, **options: Any) -> Any:
        keys.append(key)
        return whole(store, key, **options)

    monkeypatch.setattr(obstore, "get", get)
    stac_index.refresh(lake, "wells", "Wells.")
    assert [key for key in keys if "_index" not in key and "batch-05" not in key] == []


def test_the_asset_of_the_index_brings_it_up_to_what_is_published(platform: Platform) -> None:
    platform.put_sample()
    assert platform.run_next().success
    job = platform.definitions.resolve_implicit_global_asset_job_def()
    index = dg.AssetKey(["stac", "places"])
    result = job.execute_in_process(instance=platform.instance, asset_selection=[index])
    (made,) = result.asset_materializations_for_node("stac__places")
    assert made.metadata["dagster/row_count"].value == 1
    collection = json.loads(read(platform.lake, "places/_index/collection.json"))
    assert [link["title"] for link in collection["links"]] == ["natural-earth-1"]


def test_an_item_says_through_stock_extensions_what_its_files_are(platform: Platform) -> None:
    platform.put_sample()
    assert platform.run_next().success
    commit = read_commit(platform.lake, "places", "natural-earth-1")
    item = pystac.Item.from_dict(json.loads(read(platform.lake, commit.object("item.json").key)))
    assert ProjectionExtension.ext(item).code == "EPSG:4326"
    table = item.assets["places.parquet"]
    assert FileExtension.ext(table).size == commit.object("places.parquet").size
    assert FileExtension.ext(table).checksum == "1220" + commit.object("places.parquet").sha256
    assert TableExtension.ext(table).row_count == 243
    assert item.collection_id == "places"
    assert {a.media_type for a in item.assets.values()} == {"application/vnd.apache.parquet", "image/png"}


def test_batches_whose_raster_has_a_number_and_nan_for_nodata_share_an_index() -> None:
    def item(name: str, nodata: float | str) -> dict[str, Any]:
        return {
            "type": "Feature",
            "id": name,
            "geometry": {"type": "Point", "coordinates": [1, 2]},
            "bbox": [1, 2, 1, 2],
            "properties": {"datetime": "2026-01-01T00:00:00Z"},
            "assets": {"data": {"href": name, "raster:bands": [{"nodata": nodata}]}},
        }

    made = stac_index._merged([stac_index._table([item("a", -9999)]), stac_index._table([item("b", "nan")])])
    assert made is not None
    bands = [row["data"]["raster:bands"] for row in made["assets"].to_pylist()]
    assert bands[0] == [{"nodata": -9999.0}]
    assert math.isnan(bands[1][0]["nodata"])
