"""What a system without a number is brought to: degrees, cut where 180 of them are crossed and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyproj
import pytest
import shapely

from terrane_spatial.reading.child.degrees import Degrees
from terrane_spatial.reading.layer import Met

pytestmark = pytest.mark.unit

# What PROJ makes of its table of Robinson's projection and back again, in degrees.
NEAR = 1e-4
ROBINSON = "+proj=robin +lon_0=0 +datum=WGS84"
PACIFIC = "+proj=robin +lon_0=180 +datum=WGS84"
POLAR = "+proj=stere +lat_0=-90 +lat_ts=-63 +lon_0=17 +datum=WGS84"


def brought(shapes: Sequence[Any], system: str) -> tuple[list[Any], Met]:
    """The shapes, which are in degrees, taken into the system and brought back by what is tested."""
    way = pyproj.Transformer.from_crs(4326, system, always_xy=True)
    there = shapely.transform(np.array(shapes, object), lambda p: np.stack(way.transform(p[:, 0], p[:, 1]), axis=1))
    met = Met()
    values, keep = Degrees(pyproj.CRS.from_user_input(system).to_wkt()).bring(
        pa.array(shapely.to_wkb(there), pa.binary()), met
    )
    assert keep is None
    return [shapely.from_wkb(value) for value in values.to_pylist()], met


def test_a_country_with_islands_in_every_ocean_is_as_it_was() -> None:
    home = shapely.box(-5, 42, 8, 51)
    country = shapely.MultiPolygon([home, shapely.box(-152, -18, -148, -16), shapely.box(163, -22, 167, -20)])
    (found,), met = brought([country], ROBINSON)
    assert shapely.equals_exact(found, country, tolerance=NEAR)
    assert not met.counts["geometries made valid to be cut at 180 degrees"]


@pytest.mark.parametrize("step", [5, 400])
def test_a_shape_as_wide_as_the_world_is_as_it_was_however_long_its_edges_are(step: int) -> None:
    belt = shapely.segmentize(shapely.box(-179.9, -10, 179.9, 10), step)
    (found,), _ = brought([belt], ROBINSON)
    assert shapely.equals_exact(found, belt, tolerance=NEAR)


def test_what_crosses_180_degrees_is_cut_there_with_its_holes() -> None:
    ring = shapely.box(170, -10, 190, 10)
    holed = shapely.difference(ring, shapely.box(183, -2, 186, 2))
    line = shapely.LineString([(175, 0), (-175, 5)])
    (polygon, path), _ = brought([shapely.segmentize(holed, 2), line], PACIFIC)
    assert polygon.geom_type == "MultiPolygon"
    assert (polygon.bounds[0], polygon.bounds[2]) == (-180, 180)
    assert polygon.area == pytest.approx(holed.area, rel=1e-6)
    assert not polygon.contains(shapely.Point(-175.5, 0))
    assert polygon.contains(shapely.Point(-172, 0))
    assert polygon.contains(shapely.Point(175, 0))
    assert path.geom_type == "MultiLineString"
    assert path.length == pytest.approx(shapely.LineString([(175, 0), (185, 5)]).length, rel=1e-6)


def test_a_shape_that_crosses_itself_and_180_degrees_is_mended_and_counted() -> None:
    bow = shapely.Polygon([(170, -10), (190, 10), (190, -10), (170, 10), (170, -10)])
    (found,), met = brought([bow], PACIFIC)
    assert found.area == pytest.approx(200, rel=1e-6)
    assert met.counts["geometries made valid to be cut at 180 degrees"] == 1


@pytest.mark.parametrize(("inner", "area"), [((), 360 * 20), ((-80,), 360 * 10)])
def test_a_continent_around_a_pole_has_the_pole_in_it_unless_it_is_a_ring(inner: tuple[int, ...], area: float) -> None:
    outer, *holes = ([(lon, lat) for lon in range(-177, 183, 5)] for lat in (-70, *inner))
    (found,), met = brought([shapely.Polygon(outer, holes)], POLAR)
    assert found.is_valid
    assert found.area == pytest.approx(area, rel=1e-6)
    assert found.covers(shapely.Point(0, -90)) is not bool(inner)
    assert not met.counts["geometries made valid to be cut at 180 degrees"]


def test_a_strip_over_the_pole_is_one_shape_on_both_sides_of_it() -> None:
    strip = shapely.box(-200_000, -2_000_000, 200_000, 2_000_000)
    met = Met()
    values, _ = Degrees(pyproj.CRS.from_user_input(POLAR).to_wkt()).bring(
        pa.array([shapely.to_wkb(shapely.segmentize(strip, 20_000))], pa.binary()), met
    )
    found = shapely.segmentize(shapely.from_wkb(values[0].as_py()), 0.1)
    way = pyproj.Transformer.from_crs(4326, "+proj=laea +lat_0=-90 +datum=WGS84", always_xy=True)
    seen, asked = (
        shapely.transform(s, lambda p: np.stack(way.transform(p[:, 0], p[:, 1]), axis=1)).area
        for s in (found, shapely.transform(shapely.segmentize(strip, 20_000), in_degrees))
    )
    assert seen == pytest.approx(asked, rel=1e-3)


def in_degrees(places: Any) -> Any:
    way = pyproj.Transformer.from_crs(POLAR, 4326, always_xy=True)
    return np.stack(way.transform(places[:, 0], places[:, 1]), axis=1)
