"""Boxes that cross 180 degrees: wrapped, joined, drawn."""

from __future__ import annotations

import pytest

from terrane_spatial.antimeridian import Box, around, footprint, union, wrapped

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("box", "west", "east"),
    [
        ((-10, 0, 20, 1), -10, 20),
        ((177, 0, 183, 1), 177, -177),
        ((-183, 0, -177, 1), 177, -177),
        ((-0.5, 0, 359.5, 1), -180, 180),
        ((0, 0, 360, 1), -180, 180),
        ((0, 0, 270, 1), 0, -90),
        ((190, 0, 200, 1), -170, -160),
        ((170, 0, 180, 1), 170, 180),
        ((-180, 0, -170, 1), -180, -170),
        ((178.87, 0, -179.22, 1), 178.87, -179.22),
    ],
)
def test_a_box_of_any_world_is_wrapped_into_the_one_that_is_drawn(box: Box, west: float, east: float) -> None:
    assert wrapped(box) == pytest.approx((west, 0, east, 1))


@pytest.mark.parametrize(
    ("boxes", "west", "east"),
    [
        ([(0, 0, 1, 1), (5, 0, 6, 1)], 0, 6),
        ([(177, 0, 180, 1), (-180, 0, -177, 1)], 177, -177),
        ([(177, 0, -177, 1), (-170, 0, -160, 1)], 177, -160),
        ([(177, 0, -177, 1), (170, 0, 172, 1)], 170, -177),
        ([(-180, 0, 180, 1), (177, 0, -177, 1)], -180, 180),
        ([(-179, 0, -178, 1), (178, 0, 179, 1)], -179, 179),
        ([(-180, 0, -10, 1), (-20, 0, 100, 1), (90, 0, 180, 1)], -180, 180),
    ],
)
def test_the_narrowest_box_holds_all_boxes(boxes: list[Box], west: float, east: float) -> None:
    assert union(boxes) == (west, 0, east, 1)


def test_what_is_counted_beyond_180_degrees_stays_counted_so() -> None:
    assert around([(177, 183)]) == (177, 183)


def test_a_box_across_180_degrees_has_two_parts_and_no_other_has() -> None:
    assert footprint((10, 0, 20, 1))["type"] == "Polygon"
    parts = footprint((177, 0, -178, 1))["coordinates"]
    assert [(part[0][0][0], part[0][1][0]) for part in parts] == [(177, 180), (-180, -178)]
