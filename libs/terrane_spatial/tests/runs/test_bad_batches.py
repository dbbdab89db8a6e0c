"""Bad content: what the run says, what it leaves behind, and that the next good batch works."""

from __future__ import annotations

import threading
import time

import obstore
import pytest
from spatial_batches import (
    BOW_TIE,
    SQUARE,
    collection,
    countries,
    feature,
    frame,
    geojson_batch,
    places,
    point,
    polygon,
    shapefile,
)
from spatial_platform import Platform, failure_of, sample_files

from terrane.publishing import list_commits, read_commit

pytestmark = pytest.mark.integration


def assert_rejected_in_its_run(platform: Platform, batch_id: str, said: str) -> None:
    """The run fails with the reason and is not retried; marker and ledger have it; nothing else is left."""
    result = platform.run_next()
    assert not result.success
    message = failure_of(result)
    assert message.startswith("The batch is rejected: ")
    assert said in message
    assert "send it under a new batch_id" in message
    run = platform.instance.get_run_by_id(result.run_id)
    assert run
    assert run.tags["dagster/max_retries"] == "0"
    batch, marker = platform.batch(batch_id), platform.marker(batch_id)
    assert batch
    assert marker
    assert batch.state == "rejected"
    assert said in "; ".join(batch.reasons)
    assert marker["reasons"] == batch.reasons
    assert_nothing_left(platform)
    assert platform.requests() == []


def assert_nothing_left(platform: Platform) -> None:
    assert platform.schemas() == []
    assert platform.published() == []


def assert_the_next_good_batch_works(platform: Platform) -> None:
    platform.put("next-good", geojson_batch())
    assert platform.run_next().success
    assert [c.batch_id for c in list_commits(platform.lake, "places")] == ["next-good"]


def test_a_file_with_another_hash_is_rejected_while_it_is_read(platform: Platform) -> None:
    manifest = platform.put_sample("hash")
    key = manifest["files"][0]["key"]
    content = bytearray(sample_files()["countries.gpkg"])
    content[-1] ^= 1
    obstore.put(platform.landing, key, bytes(content))
    assert_rejected_in_its_run(platform, "hash", f"{key} has the SHA-256")
    assert_the_next_good_batch_works(platform)


def test_a_file_that_goes_before_it_is_read_is_rejected(platform: Platform) -> None:
    manifest = platform.put_sample("gone")
    (request,) = platform.requests()
    obstore.delete(platform.landing, manifest["files"][1]["key"])
    result = platform.run(request)
    assert "batches/gone/places.zip is not in the landing zone any more" in failure_of(result)
    assert platform.marker("gone")
    assert_nothing_left(platform)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"places.gpkg": b"no spatial file"}, "its content is of no format known here", id="not spatial"),
        pytest.param({"places.exe": b"MZ"}, "batches/bad/places.exe: its content is of no format", id="another type"),
        pytest.param({"places.zip": b"PK"}, "its content is of no format", id="not a zip"),
        pytest.param(
            {"places.zip": shapefile(None, ["a"])}, "does not say its coordinate reference system", id="no crs"
        ),
        pytest.param({"places.geojson": collection([])}, "has no features", id="no features"),
        pytest.param({"places.csv": b"name,code\nA,1\n"}, "its content is of no format", id="no geometry"),
        pytest.param({"towns.geojson": places()}, "takes one file for each of countries, places", id="another table"),
        pytest.param(
            {"places.geojson": b'{"type": "FeatureCollection", "features": [{'}, "places.geojson: ", id="cut off"
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_rejected(platform: Platform, files: dict[str, bytes], said: str) -> None:
    platform.put("bad", {"countries.geojson": countries(), **files})
    assert_rejected_in_its_run(platform, "bad", said)
    assert_the_next_good_batch_works(platform)


def test_a_file_without_a_system_is_taken_when_the_manifest_gives_one(platform: Platform) -> None:
    contents = {"countries.geojson": countries(), "places.zip": shapefile(None, ["a", "b"])}
    files = platform.put("told", contents)["files"]
    files[1]["crs"] = "EPSG:4326"
    platform.put("told", contents, files=files)
    assert platform.run_next().success
    assert read_commit(platform.lake, "places", "told").summary["rows"]["places"] == 2


def test_invalid_and_mixed_geometry_is_repaired_or_dropped_and_counted(platform: Platform) -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    multi = {"type": "MultiPoint", "coordinates": [[6, 6]]}
    platform.put(
        "mixed",
        geojson_batch(
            countries=countries(
                polygon(SQUARE),
                polygon(SQUARE),
                polygon(BOW_TIE, name="Bowtie"),
                feature(line, name="A line"),
                feature(None, name="Nowhere"),
            ),
            places=places(
                point(5, 5, name="Middle"),
                point(5, 5, name="Middle"),
                point(5, 5, name="Other"),
                point(500, 5, name="Mars"),
                point(1, 1, name=" "),
                feature(multi, name="One of many"),
                feature(line, name="A road"),
                feature(None, name="Nowhere"),
                point(22, 6, name="Left wing"),
            ),
        ),
    )
    result = platform.run_next()
    assert result.success
    summary = read_commit(platform.lake, "places", "mixed").summary
    counted = ("in", "out", "dropped", "duplicates", "repaired")
    assert {table: {name: told[name] for name in counted} for table, told in summary["tables"].items()} == {
        "countries": {"in": 5, "out": 2, "dropped": 2, "duplicates": 1, "repaired": 1},
        "places": {"in": 9, "out": 4, "dropped": 4, "duplicates": 1, "repaired": 0},
    }
    assert {(t["table"], t["reason"]): t["rows"] for t in summary["tally"]} == {
        ("countries", "no polygons in it"): 1,
        ("countries", "no geometry"): 1,
        ("countries", "the same name, iso_a3, geometry"): 1,
        ("countries", "invalid geometry"): 1,
        ("places", "no geometry"): 1,
        ("places", "no points in it"): 1,
        ("places", "outside of the bounds"): 1,
        ("places", "no name"): 1,
        ("places", "the same name, geometry"): 1,
    }
    assert summary["loads"]["places"]["null geometries"] == 1
    (check,) = result.get_asset_check_evaluations()
    assert check.passed


def test_text_in_the_encoding_a_shapefile_declares_is_read_so(platform: Platform) -> None:
    contents = {
        "countries.geojson": countries(),
        "places.zip": shapefile("EPSG:4326", ["São", "Öl"], "ISO-8859-1"),
    }
    platform.put("latin", contents)
    assert platform.run_next().success
    commit = read_commit(platform.lake, "places", "latin")
    content = bytes(obstore.get(platform.lake, commit.object("places.parquet").key).bytes())
    assert sorted(frame(content)["name"]) == ["São", "Öl"]


def test_text_in_another_encoding_than_declared_is_rejected(platform: Platform) -> None:
    content = collection([point(1, 1, name="Ol")]).replace(b"Ol", "Öl".encode("latin-1"))
    platform.put("mojibake", geojson_batch(places=content))
    assert_rejected_in_its_run(platform, "mojibake", "the text of column 'name' is not UTF-8")


def test_a_run_of_a_rejected_batch_says_why_it_was_rejected(platform: Platform) -> None:
    platform.put("bad", geojson_batch(places=collection([])))
    (request,) = platform.requests()
    assert not platform.run(request).success
    assert "has no features" in failure_of(platform.run(request))


def test_postgres_stopped_in_mid_run_fails_the_run_and_its_reexecution_publishes(
    platform: Platform, postgres_server
) -> None:
    platform.put_sample("interrupted")
    (request,) = platform.requests()
    stopper = threading.Thread(target=_stop_when_loading, args=(platform, postgres_server))
    stopper.start()
    try:
        result = platform.run(request)
    finally:
        stopper.join()
        postgres_server.start()
    assert not result.success
    message = failure_of(result)
    assert (
        f"Postgres at 127.0.0.1:{platform.compute.port} could not be reached, went away or had no room during the step"
        in message
    )
    assert "see that Postgres runs, then re-execute the run" in message
    assert platform.published() == []
    assert platform.marker("interrupted") is None

    assert platform.run(request).success
    batch = platform.batch("interrupted")
    assert batch
    assert batch.state == "published"


def _stop_when_loading(platform: Platform, server) -> None:
    """Stops the server as soon as the run has its schema."""
    deadline = time.monotonic() + 20
    while not platform.schemas() and time.monotonic() < deadline:
        time.sleep(0.005)
    server.stop()
