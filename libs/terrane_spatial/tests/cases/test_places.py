"""No place is moved in silence: datums, systems without a number, the antimeridian, rasters however turned."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely
from PIL import Image
from pmtiles.reader import MmapSource, Reader
from spatial_cases import Load

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.publishing import extra_formats, map_preview, stac
from terrane_spatial.rasters.cog_writer import Cog
from terrane_spatial.transforms import apply_step
from terrane_spatial.transforms.parsing import parse

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


def both_sides() -> bytes:
    """Two islands, on either side of 180 degrees, and one that 180 degrees cuts, as RFC 7946 (3.1.9) wants it cut."""

    def box(west: float, east: float) -> list[Any]:
        return [[[west, -18], [east, -18], [east, -16], [west, -16], [west, -18]]]

    shapes = [[box(177, 179)], [box(-179, -178)], [box(179.5, 180), box(-180, -179.5)]]
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "MultiPolygon", "coordinates": shape}}
        for shape in shapes
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def test_rows_on_both_sides_of_180_degrees_have_a_narrow_box_and_a_narrow_map(load: Load) -> None:
    case = load(both_sides())
    written = case.published()
    assert written.bounds == (177, -18, -178, -16)
    picture = Image.open(io.BytesIO(map_preview.draw(case.connection, "t", None)))
    # Five degrees by two, and not a line of 360 by two.
    assert 1.5 < picture.width / picture.height < 3.5


def test_what_is_brought_across_180_degrees_is_cut_there(load: Load) -> None:
    case = load(both_sides())
    case.connection.execute(
        "create table utm as select st_transform(st_shiftlongitude(geometry), 32760)::geometry(Geometry, 32760)"
        " as geometry from t where st_xmax(geometry) > 179.9"
    )
    (step,) = parse("bench", [{"reproject": {"table": "utm"}}], Path())
    apply_step.apply(case.connection, step, "bench, step 1 (reproject)")  # type: ignore[arg-type]
    ((parts, area, west, east),) = case.connection.execute(
        "select st_numgeometries(geometry), st_area(geometry), st_xmin(geometry), st_xmax(geometry) from utm"
    ).fetchall()
    assert (parts, west, east) == (2, -180, 180)
    assert area == pytest.approx(2, rel=0.01)
