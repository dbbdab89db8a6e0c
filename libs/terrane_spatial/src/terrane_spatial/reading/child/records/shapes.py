"""Well-known binary made of coordinates (ISO 13249-3, 5.1.46), in two dimensions and little endian."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from terrane_spatial.reading.child.records.table import UNREADABLE
from terrane_spatial.wkb import COLLECTION, LINE, MULTIPOLYGON, POINT, POLYGON

MULTIPOINT, MULTILINE = 4, 5
GEOJSON_TYPES = {
    "Point": POINT,
    "LineString": LINE,
    "Polygon": POLYGON,
    "MultiPoint": MULTIPOINT,
    "MultiLineString": MULTILINE,
    "MultiPolygon": MULTIPOLYGON,
}
NOWHERE = struct.pack("<BI2d", 1, POINT, float("nan"), float("nan"))
MAX_DEPTH = 16
# RFC 7946, 3.1.6: a linear ring is closed, with four or more positions.
RING_POINTS = 4
LINE_POINTS = 2


class NoGeometryError(Exception):
    """Coordinates that are none, or too few, or in another shape than their type says."""


def point(x: float, y: float) -> bytes:
    return struct.pack("<BI2d", 1, POINT, x, y)


def geojson(geometry: Any, depth: int = 0) -> bytes | None:
    """The geometry of a GeoJSON feature; None for null, UNREADABLE for what RFC 7946 knows no such geometry as."""
    if geometry is None:
        return None
    try:
        return _geojson(geometry, depth)
    except (NoGeometryError, TypeError, ValueError, KeyError, IndexError, struct.error, AttributeError, OverflowError):
        return UNREADABLE


def _geojson(geometry: Any, depth: int) -> bytes:
    if depth > MAX_DEPTH:
        raise NoGeometryError
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        parts = [_geojson(part, depth + 1) for part in geometry["geometries"]]
        return struct.pack("<BII", 1, COLLECTION, len(parts)) + b"".join(parts)
    code, coordinates = GEOJSON_TYPES.get(kind), geometry.get("coordinates")
    if code is None or not isinstance(coordinates, list):
        raise NoGeometryError
    if code == POINT:
        return NOWHERE if not coordinates else point(*_position(coordinates))
    if code == LINE:
        return line(_positions(coordinates))
    if code == POLYGON:
        return polygon([_positions(ring) for ring in coordinates])
    if code == MULTIPOINT:
        return multi(code, [point(*place) for place in _positions(coordinates)])
    if code == MULTILINE:
        return multi(code, [line(_positions(part)) for part in coordinates])
    return multi(code, [polygon([_positions(ring) for ring in part]) for part in coordinates])


def _position(value: Any) -> tuple[float, float]:
    x, y = value[0], value[1]
    if type(x) not in (int, float) or type(y) not in (int, float):
        raise NoGeometryError
    return float(x), float(y)


def _positions(values: Any) -> list[tuple[float, float]]:
    if not isinstance(values, list):
        raise NoGeometryError
    try:
        return [_position(value) for value in values]
    except IndexError:
        raise NoGeometryError from None


def line(places: Sequence[tuple[float, float]]) -> bytes:
    if 0 < len(places) < LINE_POINTS:
        raise NoGeometryError
    return struct.pack("<BII", 1, LINE, len(places)) + _numbers(places)


def polygon(rings: Sequence[Sequence[tuple[float, float]]]) -> bytes:
    """Raises NoGeometryError for a ring that is open or has fewer than four points."""
    made = [struct.pack("<BII", 1, POLYGON, len(rings))]
    for ring in rings:
        if len(ring) < RING_POINTS or ring[0] != ring[-1]:
            raise NoGeometryError
        made += [struct.pack("<I", len(ring)), _numbers(ring)]
    return b"".join(made)


def multi(code: int, parts: Sequence[bytes]) -> bytes:
    return struct.pack("<BII", 1, code, len(parts)) + b"".join(parts)


def _numbers(places: Sequence[tuple[float, float]]) -> bytes:
    return struct.pack(f"<{2 * len(places)}d", *[number for place in places for number in place])
