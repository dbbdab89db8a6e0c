"""What is brought to degrees around a pole or across 180 of them covers there what it covered before."""

from __future__ import annotations

from typing import Any

import pytest
import shapely
from step_bench import Bench

pytestmark = pytest.mark.integration

POLE = shapely.Point(0, 0)
HALVES = [shapely.box(-3e5, south, 3e5, south + 23e5) for south in (-25e5, 2e5)]
# In metres around the north pole, 45 degrees west downwards.
POLAR = {
    "the pole inside": POLE.buffer(2e6),
    "a ring around the pole": POLE.buffer(25e5).difference(POLE.buffer(1e6)),
    "two parts, one across 180 degrees": shapely.MultiPolygon(HALVES),
    "a strip over the pole": shapely.box(-2e5, -2e6, 2e5, 2e6),
    "a strip beside the pole": shapely.box(-4e5, -2e6, -1e5, 2e6),
}
# Equal in area, around the pole.
EQUAL_AREA = 6931


def brought(bench: Bench, shape: Any, srid: int) -> tuple[Any, bool]:
    """The shape as the step leaves it, and whether it is valid."""
    bench.table("t", {"a": "integer"}, [(1, shapely.to_wkt(shape, rounding_precision=-1))], srid)
    bench.apply("reproject", table="t")
    ((_, wkb, valid),) = bench.rows("t", "a", "st_asbinary(geometry)", "st_isvalid(geometry)")
    return shapely.from_wkb(bytes(wkb)), valid


def area(bench: Bench, shape: Any, srid: int, step: float) -> float:
    wkb = shapely.to_wkb(shapely.segmentize(shape, step))
    moved = "select st_area(st_transform(st_geomfromwkb(%s, %s), %s))"
    return bench.connection.execute(moved.encode(), [wkb, srid, EQUAL_AREA]).fetchone()[0]  # type: ignore[index]


@pytest.mark.parametrize("name", POLAR)
def test_a_shape_in_metres_around_the_pole_keeps_its_area(bench: Bench, name: str) -> None:
    shape = shapely.segmentize(POLAR[name], 50_000)
    found, valid = brought(bench, shape, 3413)
    assert valid
    assert area(bench, found, 4326, 0.2) == pytest.approx(area(bench, shape, 3413, 5_000), rel=0.01)
    assert found.covers(shapely.Point(0, 90)) is ("inside" in name or "over" in name)


def test_a_line_across_180_degrees_is_cut_there(bench: Bench) -> None:
    found, _ = brought(bench, shapely.LineString([(-2e6, 18e5), (-18e5, 2e6), (-16e5, 22e5)]), 3413)
    assert found.geom_type == "MultiLineString"
    assert (found.bounds[0], found.bounds[2]) == (-180, 180)
    # Wound around the world it would have more than 340.
    assert found.length < 15


def test_what_crosses_itself_where_it_is_cut_is_made_valid_and_told(bench: Bench) -> None:
    bow = shapely.Polygon([(-19e5, 16e5), (-16e5, 19e5), (-19e5, 19e5), (-16e5, 16e5)])
    apart = shapely.Polygon([(1e5, 1e5), (4e5, 4e5), (1e5, 4e5), (4e5, 1e5)])
    wkts = [(number, shapely.to_wkt(shape)) for number, shape in enumerate([bow, apart, POLAR["the pole inside"]])]
    bench.table("t", {"a": "integer"}, wkts, 3413)
    said = bench.apply("reproject", table="t")
    assert said == "1 repaired (crossed itself where 180 degrees cut it)"
    assert bench.told("t") == {("repaired", "crossed itself where 180 degrees cut it"): 1}
    assert bench.rows("t", "a", "st_isvalid(geometry)") == [(0, True), (1, False), (2, True)]


@pytest.mark.parametrize("shape", [shapely.box(-19e6, -1e6, 19e6, 1e6), shapely.LineString([(-19e6, 0), (19e6, 0)])])
def test_what_is_as_wide_as_the_world_is_cut_nowhere_however_long_its_edges_are(bench: Bench, shape: Any) -> None:
    found, _ = brought(bench, shape, 3857)
    assert found.geom_type == shape.geom_type
    assert found.bounds[::2] == pytest.approx((-170.68, 170.68), abs=0.01)


def test_a_country_with_islands_in_every_ocean_is_as_it_was(bench: Bench) -> None:
    country = shapely.MultiPolygon([shapely.box(*b) for b in ((-5e5, 5e6, 9e5, 6e6), (-17e6, -2e6, -16e6, -1e6))])
    country = shapely.union(country, shapely.box(18e6, -25e5, 19e6, -2e6))
    found, _ = brought(bench, country, 3857)
    assert [len(part.exterior.coords) for part in found.geoms] == [5, 5, 5]
    assert sorted(round(part.bounds[2] - part.bounds[0], 1) for part in found.geoms) == [9.0, 9.0, 12.6]
