"""A raster dataset: what a batch of rasters becomes in the lake, and what a bad one gets."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import obstore
import pyarrow.parquet as pq
import pystac
import pytest
import rasterio
import stac_geoparquet.arrow
from dagster.components.testing import create_defs_folder_sandbox
from PIL import Image
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import RasterExtension
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rio_cogeo.cogeo import cog_validate
from spatial_platform import Platform, failure_of

from terrane.publishing import list_commits, read_commit
from terrane_spatial.components import RasterDataset

pytestmark = pytest.mark.integration

VECTOR = b'{"type": "FeatureCollection", "features": []}'
ATTRIBUTES = {"dataset": "terrain", "description": "Heights.", "freshness": {"fail_hours": 48}}


@pytest.fixture
def definitions() -> Iterator[dg.Definitions]:
    """The dataset `terrain`, declared in YAML."""
    yaml = {"type": "terrane_spatial.components.RasterDataset", "attributes": ATTRIBUTES}
    with create_defs_folder_sandbox() as sandbox:
        (sandbox.project_root / "location.yaml").write_text("owner: team:heights\ndomain: relief\n")
        path = sandbox.scaffold_component(component_cls=RasterDataset, defs_yaml_contents=yaml)
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, made):
            yield made


def heights(rows: int, columns: int) -> np.ndarray:
    """A slope, with a corner without heights."""
    y, x = np.mgrid[0:rows, 0:columns]
    made = (100 + x / 3 + y / 7).astype(np.float32)
    made[:20, :20] = -9999
    return made


def geotiff(values: np.ndarray, **changes: Any) -> bytes:
    bands = values if values.ndim == 3 else values[None]
    profile = {
        "driver": "GTiff",
        "width": bands.shape[2],
        "height": bands.shape[1],
        "count": bands.shape[0],
        "dtype": bands.dtype,
        "crs": CRS.from_epsg(32633),
        "transform": from_origin(500_000, 5_400_000, 10, 10),
        **changes,
    }
    with tempfile.TemporaryDirectory() as folder:
        with rasterio.open(Path(folder) / "x.tif", "w", **profile) as sink:
            sink.write(bands)
        return (Path(folder) / "x.tif").read_bytes()


def run(
    platform: Platform, definitions: dg.Definitions, batch_id: str, files: dict[str, bytes]
) -> dg.ExecuteInProcessResult:
    return platform.run_batch(definitions, "terrain", batch_id, files)


def read(platform: Platform, key: str) -> bytes:
    return bytes(obstore.get(platform.lake, key).bytes())


def test_a_batch_of_rasters_is_published_as_cogs_with_an_item_a_preview_and_an_index(
    platform: Platform, definitions: dg.Definitions, tmp_path: Path
) -> None:
    values = heights(900, 1100)
    colours = np.random.default_rng(1).integers(0, 255, (3, 300, 200), dtype=np.uint8)
    files = {"hills.tif": geotiff(values, nodata=-9999), "photo.tif": geotiff(colours)}
    files["holes.tif"] = geotiff(np.where(values < 0, np.nan, values), nodata=float("nan"))
    result = run(platform, definitions, "r-1", files)
    assert result.success, failure_of(result)
    commit = read_commit(platform.lake, "terrain", "r-1")
    names = [o.name for o in commit.objects]
    assert sorted(names) == ["hills.tif", "holes.tif", "item.json", "photo.tif", "preview.png"]
    for name in ("hills.tif", "photo.tif", "holes.tif"):
        path = tmp_path / name
        path.write_bytes(read(platform, commit.object(name).key))
        assert cog_validate(path, strict=True) == (True, [], [])
        with rasterio.open(path) as published, rasterio.MemoryFile(files[name]) as memory, memory.open() as source:
            np.testing.assert_array_equal(published.read(), source.read())

    fields = json.loads(read(platform, commit.object("item.json").key))
    item = pystac.Item.from_dict(fields)
    assert pystac.Item.from_dict({**fields, "stac_extensions": []}).validate()
    assert ProjectionExtension.ext(item).code == "EPSG:32633"
    titles = {key: asset.title for key, asset in item.assets.items()}
    names = {"data": "hills.tif", "data_2": "holes.tif", "data_3": "photo.tif", "preview.png": "preview.png"}
    assert titles == names
    asset = item.assets["data"]
    assert asset.media_type == pystac.MediaType.COG
    assert ProjectionExtension.ext(asset).shape == [900, 1100]
    assert ProjectionExtension.ext(asset).transform == [10, 0, 500_000, 0, -10, 5_400_000]
    assert FileExtension.ext(asset).checksum == "1220" + commit.object("hills.tif").sha256
    (band,) = RasterExtension.ext(asset).bands or []
    assert (band.data_type, band.nodata) == ("float32", -9999)
    assert band.statistics
    assert band.statistics.minimum == pytest.approx(100, abs=10)
    assert band.statistics.maximum == pytest.approx(values.max(), abs=10)
    assert (RasterExtension.ext(item.assets["data_2"]).bands or [])[0].nodata == "nan"

    image = Image.open(io.BytesIO(read(platform, commit.object("preview.png").key)))
    assert max(image.size) == 512
    assert image.getpixel((2, 2))[3] == 0  # type: ignore[index]
    assert image.getpixel((400, 300))[3] == 255  # type: ignore[index]
    assert len(image.convert("L").getcolors() or []) > 50

    assert platform.index("terrain") == 1
    index = pq.read_table(io.BytesIO(read(platform, "terrain/_index/items.parquet")))
    (indexed,) = stac_geoparquet.arrow.stac_table_to_items(index)
    assert indexed["assets"]["data"]["proj:shape"] == [900, 1100]
    (materialization,) = result.asset_materializations_for_node("data_lake__terrain")
    assert materialization.metadata["rasters"].value["hills.tif"]["epsg"] == 32633  # type: ignore[index, call-overload]
    batch = platform.batch("r-1")
    assert batch
    assert batch.state == "published"


def test_the_overviews_of_colours_are_drawn_with_their_table(platform: Platform, definitions: dg.Definitions) -> None:
    codes = np.repeat(np.array([[0, 1]], np.uint8), 100, axis=1).repeat(50, axis=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.tif"
        path.write_bytes(geotiff(codes))
        with rasterio.open(path, "r+") as sink:
            sink.write_colormap(1, {0: (200, 30, 30, 255), 1: (30, 30, 200, 255)})
        content = path.read_bytes()
    result = run(platform, definitions, "r-2", {"codes.tif": content})
    assert result.success, failure_of(result)
    commit = read_commit(platform.lake, "terrain", "r-2")
    image = Image.open(io.BytesIO(read(platform, commit.object("preview.png").key)))
    assert {colour for _, colour in image.getcolors() or []} == {(200, 30, 30, 255), (30, 30, 200, 255)}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"x.tif": b"no raster"}, "b-1/x.tif: its content is of no format known here", id="no raster"),
        pytest.param(
            {"x.geojson": b'{"type": "FeatureCollection", "features": []}'},
            "which this dataset does not take",
            id="vector",
        ),
        pytest.param(
            {"good.tif": geotiff(heights(50, 50)), "x.tif": geotiff(heights(50, 50), crs=None)},
            "x.tif does not say its coordinate reference system",
            id="no crs",
        ),
    ],
)
def test_a_bad_batch_is_rejected_with_its_reason(
    platform: Platform, definitions: dg.Definitions, files: dict[str, bytes], said: str
) -> None:
    result = run(platform, definitions, "b-1", files)
    assert said in failure_of(result)
    assert platform.published() == []
    batch, marker = platform.batch("b-1"), platform.marker("b-1")
    assert batch
    assert batch.state == "rejected"
    assert marker
    assert said in "; ".join(marker["reasons"])


def test_a_published_batch_run_again_keeps_its_commit(platform: Platform, definitions: dg.Definitions) -> None:
    files = {"hills.tif": geotiff(heights(60, 60), nodata=-9999)}
    assert run(platform, definitions, "r-3", files).success
    before = list_commits(platform.lake, "terrain")
    result = run(platform, definitions, "r-3", files)
    assert result.success
    assert list_commits(platform.lake, "terrain") == before


def test_the_asset_says_who_owns_it_and_how_fresh_it_must_be(definitions: dg.Definitions) -> None:
    assets = [made for made in definitions.assets or [] if isinstance(made, dg.AssetsDefinition)]
    assert [asset.key.path for asset in assets] == [["data_lake", "terrain"], ["stac", "terrain"]]
    (spec,) = assets[0].specs
    assert [dep.asset_key.path for dep in spec.deps] == [["landing_zone", "terrain"]]
    assert spec.freshness_policy
    assert (spec.owners, spec.tags["domain"]) == (["team:heights"], "relief")
