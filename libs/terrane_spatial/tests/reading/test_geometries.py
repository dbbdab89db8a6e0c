"""Geometries as files bring them: what is mended, what is counted, what no table gets."""

from __future__ import annotations

import itertools
import math
import struct
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from terrane_spatial.reading import second_reader
from terrane_spatial.reading.child.geometries import clean
from terrane_spatial.reading.layer import Met

pytestmark = pytest.mark.unit

POINT = shapely.to_wkb(shapely.Point(1, 2))
TIN = struct.pack("<BII", 1, 16, 0)
CURVE = struct.pack("<BII6d", 1, 8, 3, 0, 0, 1, 1, 2, 0)


def cleaned(*values: bytes | None) -> tuple[list[bytes | None], list[int], Met]:
    """The values after cleaning, which of them are kept, and what was met."""
    met = Met()
    array, keep = clean(pa.array(values, pa.binary()), met)
    kept = range(len(values)) if keep is None else [at for at, stays in enumerate(keep) if stays]
    return array.to_pylist(), list(kept), met


def line(*numbers: float) -> bytes:
    return struct.pack(f"<BII{len(numbers)}d", 1, 2, len(numbers) // 2, *numbers)


@pytest.mark.parametrize("text", ["POINT Z (1 2 3)", "POINT M (1 2 3)", "POLYGON Z ((0 0 1, 1 0 1, 1 1 1, 0 0 1))"])
@pytest.mark.parametrize("flavor", ["iso", "extended"])
@pytest.mark.parametrize("order", [0, 1])
def test_heights_and_measures_go_and_are_counted(text: str, flavor: Any, order: int) -> None:
    shape = shapely.from_wkt(text)
    values, kept, met = cleaned(shapely.to_wkb(shape, flavor=flavor, byte_order=order), None, POINT)
    assert values == [shapely.to_wkb(shapely.force_2d(shape), output_dimension=2), None, POINT]
    assert kept == [0, 1, 2]
    assert met.counts["geometries brought to two dimensions"] == 1
    assert met.counts["null geometries"] == 1
    assert met.counts[f"geometries with {'measures (M)' if ' M' in text else 'heights (Z)'}"] == 1


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("at", [0, 3, 5])
def test_a_coordinate_that_is_no_number_rejects_its_row_wherever_it_stands(wild: float, at: int) -> None:
    numbers = [0.1, 0.2, 1.3, 2.4, 5.5, 6.6]
    numbers[at] = wild
    _, kept, met = cleaned(line(0, 1, 2, 3), line(*numbers), None, POINT)
    assert kept == [0, 2, 3]
    assert met.rejected == {"coordinates that are not finite numbers": 1}
    assert met.rows == 4


def test_a_number_that_is_no_number_is_seen_in_big_endian_too() -> None:
    _, kept, _ = cleaned(struct.pack(">BIIdddd", 0, 2, 2, 1, 2, math.nan, 4))
    assert kept == []


def test_numbers_that_look_like_none_across_their_bytes_are_kept() -> None:
    misleading = struct.unpack("<d", bytes.fromhex("f07ff07ff07f3f40"))[0]
    _, kept, met = cleaned(line(misleading, misleading, 0, 0))
    assert (kept, met.rejected) == ([0], {})


def test_an_empty_point_is_empty_and_not_wild() -> None:
    empties = [shapely.to_wkb(shapely.from_wkt(f"{kind} EMPTY")) for kind in ("POINT", "POLYGON", "GEOMETRYCOLLECTION")]
    _, kept, met = cleaned(*empties, POINT)
    assert kept == [0, 1, 2, 3]
    assert met.counts == {"empty geometries": 3}


def test_points_alone_are_judged_as_points_among_others_are() -> None:
    empty, half, wild = (struct.pack("<BIdd", 1, 1, *xy) for xy in ((math.nan,) * 2, (1, math.nan), (math.inf, 2)))
    _, kept, met = cleaned(POINT, empty, half, wild, POINT)
    assert kept == [0, 1, 4]
    assert met.counts == {"empty geometries": 1}
    assert met.rejected == {"coordinates that are not finite numbers": 2}
    assert cleaned(POINT, empty, half, wild, POINT, line(0, 1))[2].rejected == met.rejected
    assert cleaned(POINT, POINT)[1] == [0, 1]


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("kind", ["LineString", "Polygon", "MultiPoint"])
def test_of_many_geometries_only_those_with_a_number_that_is_none_are_rejected(kind: str, order: int) -> None:
    random, shapes, expected = np.random.default_rng(3), [], []
    for row in range(500):
        ring = random.normal(0, 1e3, (random.integers(4, 30), 2))
        ring[-1] = ring[0]
        if random.random() < 0.1:
            ring[random.integers(1, len(ring) - 1), random.integers(2)] = random.choice([math.nan, math.inf])
        else:
            expected.append(row)
        with np.errstate(invalid="ignore"):
            shapes.append(getattr(shapely, kind)(ring))
    values: list[Any] = shapely.to_wkb(shapes, byte_order=order).tolist()
    assert cleaned(*values)[1] == expected


def test_surfaces_of_a_solid_are_rejected_by_their_type() -> None:
    _, kept, met = cleaned(TIN, POINT, struct.pack("<BII", 1, 1015, 0))
    assert kept == [1]
    assert met.rejected == {"geometry of type TIN": 1, "geometry of type PolyhedralSurface": 1}


def test_curves_are_left_for_postgis() -> None:
    values, kept, met = cleaned(CURVE, POINT)
    assert (values, kept, met.unfinished) == ([CURVE, POINT], [0, 1], 1)
    assert met.types == {"CircularString": 1, "Point": 1}


@pytest.mark.parametrize("value", [b"\x01", b"\x01\x01\0\0"])
def test_what_is_too_short_to_be_a_geometry_is_rejected(value: bytes) -> None:
    _, kept, met = cleaned(POINT, value)
    assert kept == [0]
    assert met.rejected == {"geometry that is no WKB": 1}


@pytest.mark.parametrize("values", [[], [None, None]])
def test_a_batch_without_a_geometry_is_no_trouble(values: list[None]) -> None:
    _, kept, met = cleaned(*values)
    assert len(kept) == met.rows == len(values)


def test_a_value_without_a_byte_is_no_geometry() -> None:
    values, kept, met = cleaned(b"", POINT)
    assert (values, kept, met.rejected) == ([None, POINT], [0, 1], {})
    assert met.counts == {"null geometries": 1}


def test_part_of_a_batch_is_judged_as_that_part() -> None:
    met = Met()
    array = pa.array([line(math.nan, 0, 0, 0), POINT, TIN, POINT], pa.binary()).slice(1, 2)
    _, keep = clean(array, met)
    assert list(keep) == [True, False]


def test_what_was_met_survives_the_way_between_processes() -> None:
    _, _, met = cleaned(TIN, CURVE, None)
    assert Met.from_dict(met.as_dict()) == met


def curve(kind: int, dimensions: int, *numbers: float) -> bytes:
    return struct.pack(f"<BII{len(numbers)}d", 1, kind, len(numbers) // dimensions, *numbers)


def test_curves_with_heights_or_in_a_collection_are_flattened_by_hand() -> None:
    flat = curve(8, 2, 0, 0, 1, 1, 2, 0)
    high = curve(1008, 3, 0, 0, 9, 1, 1, 9, 2, 0, 9)
    measured = curve(3008, 4, 0, 0, 9, 5, 1, 1, 9, 5, 2, 0, 9, 5)
    inside, outside = struct.pack("<BII", 1, 1007, 1) + high, struct.pack("<BII", 1, 7, 1) + flat
    values, kept, met = cleaned(high, measured, inside, shapely.to_wkb(shapely.from_wkt("POINT Z (1 2 3)")))
    assert values == [flat, flat, outside, POINT]
    assert kept == [0, 1, 2, 3]
    assert met.unfinished >= 3
    assert met.counts["geometries brought to two dimensions"] == 4


@pytest.mark.parametrize(
    "value",
    [
        curve(1008, 3, 0, 0, 9)[:-1],
        struct.pack("<BII", 1, 1008, 0xFFFFFFFF),
        struct.pack("<BII", 1, 1012, 1) * 100,
        struct.pack("<BII", 1, 1007, 1) * 100,
    ],
)
def test_a_geometry_with_heights_that_cannot_be_read_is_rejected_by_its_row(value: bytes) -> None:
    _, kept, met = cleaned(value, POINT)
    assert kept == [1]
    assert met.rejected == {"geometry that is not whole": 1}


def test_strictly_read_what_postgis_would_refuse_is_rejected_by_its_row() -> None:
    open_ring = struct.pack("<BIII6d", 1, 3, 1, 3, 0, 0, 1, 0, 1, 1)
    met = Met()
    _, keep = clean(pa.array([open_ring, line(0, 0), POINT, None, CURVE], pa.binary()), met, strict=True)
    assert list(keep) == [False, False, True, True, True]
    assert met.rejected == {"geometry that is not whole": 2}


def test_strictly_read_a_ring_without_points_goes() -> None:
    met = Met()
    values, keep = clean(pa.array([struct.pack("<BIII", 1, 3, 1, 0)], pa.binary()), met, strict=True)
    assert values.to_pylist() == [shapely.to_wkb(shapely.from_wkt("POLYGON EMPTY"))]
    assert keep is None or keep.all()


SQUARE, HOLE = [(0, 0), (0, 9), (9, 9), (9, 0)], [(1, 2), (1, 3), (4, 3)]


def _polygon(*rings: list[tuple[int, int]]) -> bytes:
    closed = [[*ring, ring[0]] for ring in rings]
    return shapely.to_wkb(shapely.Polygon(closed[0], closed[1:]), byte_order=1)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (_polygon(HOLE, SQUARE), True),
        (_polygon(SQUARE[2:] + SQUARE[:2], HOLE[::-1]), True),
        (_polygon([(y, x) for x, y in SQUARE], [(y, x) for x, y in HOLE]), False),
        (_polygon(SQUARE, [HOLE[0], HOLE[1], (3, 4)]), False),
        (_polygon([SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]], HOLE), False),
    ],
    ids=["rings in another order", "begun elsewhere, the other way", "axes swapped", "a point moved", "points crossed"],
)
def test_polygons_are_the_same_by_their_rings_and_not_by_their_bytes_alone(other: bytes, same: bool) -> None:
    assert second_reader._same_polygon(_polygon(SQUARE, HOLE), other) is same


@pytest.mark.parametrize("length", range(9))
def test_a_ring_begins_where_its_points_are_least(length: int) -> None:
    letters: list[bytes] = [b"a", b"b", b"c"]
    for points in map(list, itertools.product(letters, repeat=length)):
        rotations = [points[at:] + points[:at] for at in range(length)]
        assert second_reader._from_the_least(points) == min(rotations, default=[])


def test_a_ring_of_one_point_again_and_again_costs_as_many_steps_as_it_has() -> None:
    ring = struct.pack("<BIII", 1, 3, 1, 100_001) + struct.pack("<2d", 1, 2) * 100_001
    other = ring[:-16] + struct.pack("<2d", 1, 3)
    began = time.process_time()
    assert not second_reader._same_polygon(ring, other)
    # A look at every rotation takes minutes, and as many copies of the ring.
    assert time.process_time() - began < 5
