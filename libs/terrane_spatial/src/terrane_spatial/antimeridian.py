"""Boxes in degrees that cross 180 degrees: west is greater than east then, as RFC 7946 (5.2) and STAC have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Box = tuple[float, float, float, float]
WORLD, HALF = 360.0, 180.0


def wrapped(box: Box) -> Box:
    """The box with west and east from -180 to 180, whatever world its longitudes were counted in."""
    west, south, east, north = box
    if west <= east and east - west >= WORLD:
        return -HALF, south, HALF, north
    return (*(_wrapped_edge(west, -HALF), south), *(_wrapped_edge(east, HALF), north))


def _wrapped_edge(longitude: float, at_the_seam: float) -> float:
    """The longitude in the world that is drawn; of the seam itself, the side that the edge belongs to."""
    if -HALF <= longitude <= HALF:
        return longitude
    moved = (longitude + HALF) % WORLD - HALF
    return at_the_seam if abs(moved) == HALF else moved


def union(boxes: Iterable[Box]) -> Box:
    """The narrowest box around all boxes, across 180 degrees where that is narrower. There is at least one."""
    every = list(boxes)
    south, north = min(box[1] for box in every), max(box[3] for box in every)
    if all(box[0] <= box[2] and box[0] >= -HALF and box[2] <= HALF for box in every):
        west, east = min(box[0] for box in every), max(box[2] for box in every)
        if not (west == -HALF and east == HALF):
            return west, south, east, north
    west, east = _around([(box[0], box[2]) for box in map(wrapped, every)])
    return west, south, east, north


def around(intervals: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """West and east of what lies between; as `union` has them, but what is counted beyond 180 degrees stays."""
    every = list(intervals)
    west, east = min(low for low, _ in every), max(high for _, high in every)
    if west < -HALF or east > HALF:
        return west, east
    west, _, east, _ = union((low, 0.0, high, 0.0) for low, high in every)
    return west, east


def _around(intervals: list[tuple[float, float]]) -> tuple[float, float]:
    """The edges of the widest stretch of the circle in which nothing lies, seen from its other side."""
    parts = sorted(part for west, east in intervals for part in _parts(west, east))
    gaps, reached = [], parts[0][1]
    for west, east in parts[1:]:
        if west > reached:
            gaps.append((west - reached, reached, west))
        reached = max(reached, east)
    seam = parts[0][0] + WORLD - reached
    widest = max(gaps, default=(0.0, 0.0, 0.0))
    # Where nothing touches the seam, a box that does not cross it is what everybody expects.
    if not gaps or seam >= widest[0] or parts[0][0] > -HALF or reached < HALF:
        return parts[0][0], reached
    return widest[2], widest[1]


def _parts(west: float, east: float) -> list[tuple[float, float]]:
    return [(west, east)] if west <= east else [(west, HALF), (-HALF, east)]


def footprint(box: Box) -> dict[str, Any]:
    """The box as a geometry of GeoJSON: in two parts, cut at 180 degrees, where it crosses (RFC 7946, 3.1.9)."""
    west, south, east, north = box
    if west <= east:
        return {"type": "Polygon", "coordinates": [_ring(west, south, east, north)]}
    parts = [[_ring(west, south, HALF, north)], [_ring(-HALF, south, east, north)]]
    return {"type": "MultiPolygon", "coordinates": parts}


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]
