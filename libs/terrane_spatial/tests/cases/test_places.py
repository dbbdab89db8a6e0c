"""No place is moved in silence: datums, systems without a number, the antimeridian, rasters however turned."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import shapely
from pmtiles.reader import MmapSource, Reader
from spatial_cases import Load

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.publishing import extra_formats, stac
from terrane_spatial.rasters.cog_writer import Cog

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("25-europe-albers-ed50.zip", 9, 48),
        ("25-tokyo-tm.zip", 139.75, 35.68),
        ("25-mgi-tm.zip", 14, 47),
    ],
)
def test_25_a_system_without_a_number_is_taken_with_its_datum(load: Load, name: str, x: float, y: float) -> None:
    case = load(name)
    ((found_x, found_y),) = case.connection.execute("select st_x(geometry), st_y(geometry) from t").fetchall()
    # A metre, in degrees.
    assert math.hypot(found_x - x, found_y - y) < 1e-5
    assert "brought to EPSG:4326 from" in case.facts


def test_27_an_undefined_system_is_refused(load: Load) -> None:
    with pytest.raises(BatchRejectedError, match="ndefined geographic"):
        load("27-srs-id-0.gpkg")
    assert load("27-srs-id-0.gpkg", crs="EPSG:4326").loaded.srid == 4326


def test_32_edges_that_are_great_circles_are_told(load: Load) -> None:
    case = load("32-spherical.parquet")
    assert case.loaded.rows == 2
    assert "great circles" in case.told


def test_32_a_number_in_the_geometry_that_contradicts_the_file_is_told(load: Load) -> None:
    case = load("32-ewkb-srid.parquet")
    assert case.loaded.rows == 2
    assert "3857" in case.told


@pytest.mark.parametrize(
    ("crs", "told"),
    [
        (None, "does not say its coordinate reference system"),
        ("EPSG:4326", "systems, EPSG:4326, EPSG:3857"),
    ],
)
def test_34_features_in_two_systems_are_refused(load: Load, crs: str | None, told: str) -> None:
    with pytest.raises(BatchRejectedError, match=told):
        load("34-two-systems.gml", crs=crs)


def test_35_what_lies_beyond_180_degrees_is_drawn_on_both_sides(load: Load) -> None:
    case = load("35-beyond-180.geojson")
    path = extra_formats.write("pmtiles", case.published(), "t")
    with path.open("rb") as opened:
        header = Reader(MmapSource(opened)).header()
    assert (header["min_lon_e7"], header["max_lon_e7"]) == (-1800000000, 1800000000)
    # At zoom 3 a tile is 45 degrees wide: the first and the last column have the band, and no other has.
    with path.open("rb") as opened:
        reader = Reader(MmapSource(opened))
        columns = {x for x in range(8) for y in range(8) if reader.get(3, x, y)}
    assert columns == {0, 7}


def item(cog: Cog) -> dict[str, Any]:
    about = stac.About("r", "b", "about", datetime(2020, 1, 1, tzinfo=UTC), cog.bounds_4326)
    return json.loads(stac.item_json(about, {"r.tif": cog.path}, rasters={"r.tif": cog}))


Convert = Callable[..., Cog]


def test_29_a_raster_across_180_degrees_has_a_geometry_on_both_sides(convert: Convert) -> None:
    told = item(convert("29-raster-across-180.tif"))
    assert told["bbox"][0] == pytest.approx(178.87, abs=0.01)
    assert told["bbox"][2] == pytest.approx(-179.22, abs=0.01)
    assert told["geometry"]["type"] == "MultiPolygon"
    shape = shapely.from_geojson(json.dumps(told["geometry"]))
    assert shape.area < 10
    assert shape.bounds[0] == -180
    assert shape.bounds[2] == 180


@pytest.mark.parametrize("name", ["29-south-up.tif", "29-east-left.tif"])
def test_29_a_raster_that_is_turned_has_its_bounds_in_order(convert: Convert, name: str) -> None:
    told = item(convert(name))
    assert told["bbox"] == pytest.approx([10, 48, 13, 50])
    assert told["assets"]["data"]["proj:bbox"] == pytest.approx([10, 48, 13, 50])
    assert shapely.from_geojson(json.dumps(told["geometry"])).area == pytest.approx(6)


def test_29_a_raster_from_0_to_360_lies_between_180_and_180(convert: Convert) -> None:
    told = item(convert("29-0-to-360.tif"))
    assert -180 <= told["bbox"][0] < told["bbox"][2] <= 180
    shape = shapely.from_geojson(json.dumps(told["geometry"]))
    assert shape.bounds == pytest.approx((-180, -90, 180, 90))


@pytest.mark.parametrize(
    ("name", "told", "scale", "offset", "unit"),
    [("30-scale-offset.tif", {}, 0.1, -273.15, "degC"), ("30-packed.nc", {"crs": "EPSG:4326"}, 0.01, 273.15, "K")],
)
def test_30_scale_and_offset_are_told(
    convert: Convert, name: str, told: dict[str, Any], scale: float, offset: float, unit: str
) -> None:
    cog = convert(name, **told)
    (band,) = item(cog)["assets"]["data"]["raster:bands"]
    assert (band["scale"], band["offset"], band["unit"]) == (pytest.approx(scale), pytest.approx(offset), unit)
    assert band["statistics"]["minimum"] == cog.bands[0].minimum
