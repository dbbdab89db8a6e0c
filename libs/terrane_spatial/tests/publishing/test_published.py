"""What is published: files that stock readers read, facts that agree with them, one commit whatever is tried again."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import obstore
import pyarrow.parquet as pq
import pyogrio
import pystac
import pytest
import shapely
from PIL import Image
from spatial_batches import frame
from spatial_platform import SAMPLES, Platform, failure_of

from terrane.publishing import Commit, list_commits, read_commit
from terrane_spatial.transforms import row_balance

pytestmark = pytest.mark.integration

PLACES = dg.AssetKey(["data_lake", "places"])
COLUMNS = [
    "place_id", "name", "country_iso_a3", "country", "continent", "longitude", "latitude", "geometry", "bbox",
]  # fmt: skip


@pytest.fixture
def published(platform: Platform) -> tuple[Platform, Commit]:
    platform.put_sample()
    assert platform.run_next().success
    return platform, read_commit(platform.lake, "places", "natural-earth-1")


def content(platform: Platform, commit: Commit, name: str) -> bytes:
    return bytes(obstore.get(platform.lake, commit.object(name).key).bytes())


def test_places_are_geoparquet_that_geopandas_and_arrow_read(published: tuple[Platform, Commit]) -> None:
    data = content(*published, "places.parquet")
    file = pq.ParquetFile(io.BytesIO(data))
    geo = json.loads(file.schema_arrow.metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert file.schema_arrow.names == COLUMNS
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    assert (column["encoding"], column["geometry_types"], column["crs"]["id"]["code"]) == ("WKB", ["Point"], 4326)
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]

    places = frame(data)
    assert len(places) == 243
    assert places.place_id.is_unique
    assert places.crs.to_epsg() == 4326
    boxed = frame(data, bbox=(5, 45, 15, 50))
    assert {"Bern", "Munich"} & set(boxed.name) == set(places.cx[5:15, 45:50].name) & {"Bern", "Munich"}
    assert set(boxed.name) == set(places.cx[5:15, 45:50].name)


def test_positions_are_those_of_the_source_to_the_last_bit(published: tuple[Platform, Commit]) -> None:
    source = pyogrio.read_dataframe(f"zip://{SAMPLES / 'places.zip'}").set_index("name")
    places = frame(content(*published, "places.parquet")).set_index("name")
    assert (shapely.to_wkb(source.geometry.loc[places.index].array) == shapely.to_wkb(places.geometry.array)).all()
    assert (places.geometry.x == places.longitude).all()
    assert (places.geometry.y == places.latitude).all()


def test_places_have_the_country_they_lie_in(published: tuple[Platform, Commit]) -> None:
    places = frame(content(*published, "places.parquet")).set_index("name")
    assert places.loc["Paris", ["country_iso_a3", "country", "continent"]].tolist() == ["FRA", "France", "Europe"]
    assert places.loc["Istanbul", "country_iso_a3"] == "TUR"
    assert places.loc["Pristina", "country"] == "Kosovo"
    assert places.loc[["Pristina", "Valletta"], "country_iso_a3"].isna().all()
    assert places.country.isna().sum() == 25


def test_countries_stay_within_the_world(published: tuple[Platform, Commit]) -> None:
    countries = frame(content(*published, "countries.parquet"))
    assert countries.columns.tolist() == ["name", "iso_a3", "continent", "population", "geometry"]
    assert len(countries) == 177
    assert countries.is_valid.all()
    assert set(countries.geom_type) == {"MultiPolygon"}
    assert countries.total_bounds[2] == 180.0


def test_the_item_is_valid_stac_and_agrees_with_the_objects(published: tuple[Platform, Commit]) -> None:
    platform, commit = published
    fields = json.loads(content(platform, commit, "item.json"))
    item = pystac.Item.from_dict(fields)
    for name, asset in item.assets.items():
        of_commit = commit.object(name)
        assert asset.extra_fields["file:size"] == of_commit.size
        assert asset.extra_fields["file:checksum"] == "1220" + of_commit.sha256
        assert asset.href == f"./{name}"
    assert item.assets["places.parquet"].extra_fields["table:row_count"] == 243
    assert [c["name"] for c in item.assets["places.parquet"].extra_fields["table:columns"]] == COLUMNS
    core = pystac.Item.from_dict({**fields, "stac_extensions": []})
    assert core.validate()


def test_the_preview_is_a_small_map(published: tuple[Platform, Commit]) -> None:
    data = content(*published, "preview.png")
    image = Image.open(io.BytesIO(data))
    assert image.size == (960, 480)
    assert len(base64.b64encode(data)) < 200_000
    colours = image.convert("RGB").getcolors(100)
    assert colours
    assert len(colours) > 5


def test_an_output_is_hashed_once_and_a_table_counted_once(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file of the batch is read again to be uploaded, by the store's library, and by nobody else."""
    read: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    opens, counts = Path.open, row_balance._rows

    def open_counted(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        read[path.name] += mode == "rb"
        return opens(path, mode, *more, **named)

    def rows_counted(connection: Any, table: str) -> int:
        counted[table] += 1
        return counts(connection, table)

    monkeypatch.setattr(Path, "open", open_counted)
    monkeypatch.setattr(row_balance, "_rows", rows_counted)
    platform.put_sample()
    assert platform.run_next().success
    commit = read_commit(platform.lake, "places", "natural-earth-1")
    item = json.loads(content(platform, commit, "item.json"))
    assert read["places.parquet"] == 1
    assert counted == {"out_places": 1, "out_countries": 1}
    assert item["assets"]["places.parquet"]["file:checksum"] == f"1220{commit.object('places.parquet').sha256}"


def test_the_materialisation_says_what_was_published(platform: Platform) -> None:
    platform.put_sample()
    result = platform.run_next()
    (materialization,) = result.asset_materializations_for_node("data_lake__places")
    facts: dict[str, Any] = {name: value.value for name, value in materialization.metadata.items()}
    commit = read_commit(platform.lake, "places", "natural-earth-1")
    assert facts["dagster/row_count"] == 243
    assert (facts["rows places in"], facts["rows countries repaired"]) == (243, 1)
    assert facts["bytes"] == sum(o.size for o in commit.objects)
    assert facts["commit"] == "places/_commits/natural-earth-1.json"
    assert facts["batch_id"] == "natural-earth-1"
    assert facts["bounds"] == [-180.0, -90.0, 180.0, 83.64513000000001]
    assert facts["preview"] == f"data-lake/{commit.object('preview.png').key}"
    assert {"seconds load", "seconds transform", "seconds export"} <= facts.keys()


def test_a_published_batch_run_again_succeeds_with_the_commit_there_is(platform_anywhere: Platform) -> None:
    platform = platform_anywhere
    platform.put_sample()
    assert platform.run_next().success
    commit = read_commit(platform.lake, "places", "natural-earth-1")
    before = platform.published()
    for file in ("countries.gpkg", "places.zip"):
        obstore.delete(platform.landing, f"batches/natural-earth-1/{file}")
    job = platform.definitions.get_implicit_global_asset_job_def()

    result = job.execute_in_process(
        instance=platform.instance, asset_selection=[PLACES], partition_key="natural-earth-1"
    )

    assert result.success
    assert list_commits(platform.lake, "places") == [commit]
    assert platform.published() == before
    assert platform.schemas() == []
    (materialization,) = result.asset_materializations_for_node("data_lake__places")
    assert materialization.metadata["published_by"].value == commit.run_id
    assert materialization.metadata["dagster/row_count"].value == 243
    (check,) = result.get_asset_check_evaluations()
    assert check.passed
    batch = platform.batch("natural-earth-1")
    assert batch
    assert (batch.state, batch.run_id) == ("published", commit.run_id)


def test_without_any_batch_a_run_says_what_to_do(platform: Platform) -> None:
    job = platform.definitions.get_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=platform.instance, asset_selection=[PLACES], raise_on_error=False)
    assert "The run names no batch: launch a partition of the asset" in failure_of(result)
    assert platform.schemas() == []
