"""A dataset wholly in YAML: no Python, no SQL, every step of the library, published in every format."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import geopandas as gpd
import geoparquet_validator
import obstore
import pyogrio
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox
from pmtiles.reader import MemorySource, Reader
from pmtiles.tile import Compression, TileType
from shapely.geometry import Point, box
from spatial_batches import frame
from spatial_platform import Platform, failure_of

from terrane.object_store import ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane.publishing import Commit, read_commit
from terrane_spatial.components import SpatialDataset
from terrane_spatial.intake.ledger import LedgerResource

pytestmark = pytest.mark.integration

TREES = """
dataset: trees
description: Trees of a town, the districts they stand in, and how many there are in each hectare.
inputs: [trees, districts]
steps:
  - select:
      table: trees
      columns: {species: species, height: {from: height, type: double precision}}
      empty: ["", "-99"]
  - repair: {table: trees, keep: points, parts: one}
  - reproject: {table: trees}
  - require: {table: trees, columns: [species]}
  - dedupe: {table: trees, by: [species], tolerance: 0.0000001}
  - repair: {table: districts, keep: polygons}
  - reproject: {table: districts}
  - dissolve: {table: districts, by: [name]}
  - clip: {table: trees, to: districts}
  - spatial_join: {table: trees, with: districts, columns: {district: name}, match: within}
  - spatial_join: {table: districts, with: trees, aggregates: {trees: count, tallest: {max: height}}}
  - subdivide: {table: districts, into: parts, max_vertices: 8}
  - simplify: {table: districts, tolerance: 0.0001}
  - buffer: {table: trees, into: shade, distance: 5}
  - reproject: {table: trees, into: trees_in_metres, to: 25832}
  - aggregate_to_grid: {table: trees_in_metres, into: hectares, cell: 100}
  - reproject: {table: hectares}
outputs: [trees, districts, parts, shade, hectares]
exports: [flatgeobuf, pmtiles]
row_count: trees
preview: {polygons: out_districts, points: out_trees}
freshness: {reason: for a test}
"""
X, Y = 500_000, 5_300_000


@pytest.fixture(scope="module")
def declare() -> Iterator[Callable[..., dg.Definitions]]:
    """Declares a dataset by its YAML alone; keywords replace attributes."""
    with create_defs_folder_sandbox() as sandbox:

        def load(text: str, /, **changes: Any) -> dg.Definitions:
            attributes = {**yaml.safe_load(text), **changes}
            contents = {"type": "terrane_spatial.components.SpatialDataset", "attributes": attributes}
            path = sandbox.scaffold_component(component_cls=SpatialDataset, defs_yaml_contents=contents)
            with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
                return definitions

        yield load


def package(rows: gpd.GeoDataFrame) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        rows.to_file(Path(folder) / "x.gpkg", engine="pyogrio")
        return (Path(folder) / "x.gpkg").read_bytes()


def town() -> dict[str, bytes]:
    """Two districts, one of them in two pieces, and 403 trees: 400 in rows, a twin, one of no species, one outside."""
    places = [Point(X + 3 + 10 * (i % 20), Y + 3 + 20 * (i // 20)) for i in range(400)]
    places += [places[0], Point(X + 5, Y + 5), Point(X + 5000, Y)]
    species = ["oak"] * 401 + [" ", "elm"]
    trees = gpd.GeoDataFrame({"Species": species, "Height": range(403)}, geometry=places, crs="EPSG:25832")
    shapes = [
        box(X - 5, Y - 5, X + 95, Y + 200),
        box(X - 5, Y + 200, X + 95, Y + 500),
        box(X + 95, Y - 5, X + 300, Y + 500),
    ]
    districts = gpd.GeoDataFrame({"name": ["west", "west", "east"]}, geometry=shapes, crs="EPSG:25832")
    return {"trees.gpkg": package(trees), "districts.gpkg": package(districts)}


def run(platform: Platform, definitions: dg.Definitions, batch_id: str) -> dg.ExecuteInProcessResult:
    return platform.run_batch(definitions, "trees", batch_id, town())


@pytest.fixture(scope="module")
def published(
    postgis: PostgresResource, declare: Callable[..., dg.Definitions], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Platform, Commit]]:
    store = ObjectStoreResource(endpoint=tmp_path_factory.mktemp("objects").as_uri())
    ledger = LedgerResource(**postgis.model_dump(include={"host", "port", "user", "password", "database"}))
    with dg.DagsterInstance.ephemeral() as instance:
        platform = Platform(store, postgis, ledger, instance)
        result = run(platform, declare(TREES), "t-1")
        assert result.success, failure_of(result)
        yield platform, read_commit(platform.lake, "trees", "t-1")


def content(platform: Platform, commit: Commit, name: str) -> bytes:
    return bytes(obstore.get(platform.lake, commit.object(name).key).bytes())


def test_every_step_does_its_part_and_every_row_is_accounted_for(published: tuple[Platform, Commit]) -> None:
    platform, commit = published
    tables = commit.summary["tables"]
    counted = {name: {what: n for what, n in told.items() if n} for name, told in tables.items()}
    assert counted["trees"] == {"in": 403, "out": 400, "dropped": 2, "duplicates": 1}
    assert counted["districts"] == {"in": 3, "out": 2, "merged": 1}
    assert counted["shade"] == {"in": 400, "out": 400}
    assert counted["hectares"] == {"in": 400, "out": 8, "merged": 392}
    assert counted["parts"]["in"] + counted["parts"].get("made", 0) == counted["parts"]["out"]

    trees = frame(content(platform, commit, "trees.parquet"))
    assert set(trees.district) == {"west", "east"}
    districts = frame(content(platform, commit, "districts.parquet")).set_index("name")
    assert districts.trees.to_dict() == trees.groupby("district").size().to_dict()
    assert districts.tallest.to_dict() == trees.groupby("district").height.max().to_dict()
    hectares = frame(content(platform, commit, "hectares.parquet"))
    assert hectares.rows.sum() == 400
    shade = frame(content(platform, commit, "shade.parquet"))
    assert shade.to_crs(25832).area.mean() == pytest.approx(3.12 * 25, rel=0.01)


def test_every_output_conforms_to_geoparquet(published: tuple[Platform, Commit]) -> None:
    platform, commit = published
    for name in ("trees", "districts", "parts", "shade", "hectares"):
        report = geoparquet_validator.check_bytes(name, content(platform, commit, f"{name}.parquet"))
        status = {outcome["id"]: outcome["status"] for outcome in report["outcomes"]}
        assert geoparquet_validator.failed(report) == [], report
        assert status["/conf/core/geo-metadata"] == "pass"
        assert "pass" in {verdict for test, verdict in status.items() if test.startswith("/conf/covering/")}


def test_flatgeobuf_and_pmtiles_hold_the_same_rows(published: tuple[Platform, Commit], tmp_path: Path) -> None:
    platform, commit = published
    for name, rows in commit.summary["rows"].items():
        path = tmp_path / f"{name}.fgb"
        path.write_bytes(content(platform, commit, path.name))
        info = pyogrio.read_info(path)
        assert (info["features"], info["crs"], info["driver"]) == (rows, "EPSG:4326", "FlatGeobuf")
    trees = pyogrio.read_dataframe(tmp_path / "trees.fgb")
    stored = frame(content(platform, commit, "trees.parquet"))
    assert sorted(trees.geometry.to_wkb()) == sorted(stored.geometry.to_wkb())
    assert trees.height.sum() == stored.height.sum()

    tiles = Reader(MemorySource(content(platform, commit, "trees.pmtiles")))
    header, about = tiles.header(), tiles.metadata()
    assert (header["tile_type"], header["tile_compression"]) == (TileType.MVT, Compression.GZIP)
    assert (header["min_zoom"], header["max_zoom"]) == (0, 8)
    assert [layer["id"] for layer in about["vector_layers"]] == ["trees"]
    assert set(about["vector_layers"][0]["fields"]) == {"species", "height", "district"}
    assert tiles.get(0, 0, 0)
    west, south, east, north = commit.summary["bounds"]
    assert west - 1e-3 <= header["min_lon_e7"] / 1e7 <= header["max_lon_e7"] / 1e7 <= east + 1e-3
    assert south - 1e-3 <= header["min_lat_e7"] / 1e7 <= header["max_lat_e7"] / 1e7 <= north + 1e-3


def test_rows_without_geometry_are_exported_too(
    platform: Platform, declare: Callable[..., dg.Definitions], tmp_path: Path
) -> None:
    steps = [{"reproject": {"table": "trees"}}, {"reproject": {"table": "districts"}}]
    somewhere_and_nowhere: Any = [Point(X, Y), None]
    nowhere = gpd.GeoDataFrame({"n": [1, 2]}, geometry=somewhere_and_nowhere, crs="EPSG:25832")
    definitions = declare(TREES, steps=steps, outputs=["trees"], exports=["flatgeobuf"], preview={})
    changed = town() | {"trees.gpkg": package(nowhere)}
    assert platform.run_batch(definitions, "trees", "t-2", changed).success
    commit = read_commit(platform.lake, "trees", "t-2")
    (tmp_path / "t.fgb").write_bytes(content(platform, commit, "trees.fgb"))
    assert len(pyogrio.read_dataframe(tmp_path / "t.fgb")) == 2


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        pytest.param([], "output trees is in EPSG:25832, and what is published is in EPSG:4326", id="not in degrees"),
        pytest.param(
            [{"dedupe": {"table": "trees", "by": ["Species"]}}],
            "dataset trees, step 1 (dedupe), by: table trees has no column Species; it has species, height",
            id="no such column",
        ),
        pytest.param(
            [{"select": {"table": "trees", "columns": {"n": {"from": "species", "type": "bigint"}}}}],
            'dataset trees, step 1 (select): invalid input syntax for type bigint: "oak"',
            id="a value of another type",
        ),
    ],
)
def test_a_step_that_cannot_be_done_says_which_and_why(
    platform: Platform, declare: Callable[..., dg.Definitions], steps: list[Any], said: str
) -> None:
    result = run(platform, declare(TREES, steps=steps, outputs=["trees"], exports=[], preview={}), "t-3")
    assert said in failure_of(result)
    assert platform.published() == []
    assert platform.schemas() == []


def test_steps_that_cannot_be_are_refused_when_definitions_load(declare: Callable[..., dg.Definitions]) -> None:
    with pytest.raises(Exception, match="Error while building definitions") as caught:
        declare(TREES, steps=[{"buffer": {"table": "trees", "metres": 5}}])
    assert re.search(r"defs\.yaml:\d+: step 1 \(buffer\), distance: missing", str(caught.value.__cause__))
    with pytest.raises(Exception, match="Error while building definitions") as caught:
        declare(TREES, steps=[{"repair": {"table": "treez"}}])
    assert "there is no table treez yet; there are districts, trees" in str(caught.value.__cause__)


def test_the_preview_shows_what_was_made(published: tuple[Platform, Commit]) -> None:
    from PIL import Image

    image = Image.open(io.BytesIO(content(*published, "preview.png")))
    colours = image.convert("RGB").getcolors(1000)
    assert colours
    assert len(colours) > 5
