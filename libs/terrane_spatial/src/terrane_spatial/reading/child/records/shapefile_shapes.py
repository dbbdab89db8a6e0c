"""The shapes of a .shp as WKB (ESRI Shapefile Technical Description, 1998), heights and measures left out."""

from __future__ import annotations

import mmap
import struct
from itertools import pairwise
from pathlib import Path

from terrane_spatial.reading.child.records import shapes
from terrane_spatial.reading.child.records.table import NOT_READ, UNREADABLE
from terrane_spatial.sandbox.protocol import RefusedError
from terrane_spatial.wkb import MULTIPOLYGON

SHX_HEADER = 100
NULL, POINT, LINE, POLYGON, MULTIPOINT = 0, 1, 3, 5, 8
# Types with heights are 10 more, with measures 20 more.
KINDS = {POINT, LINE, POLYGON, MULTIPOINT}
Ring = list[tuple[float, float]]


class Shapes:
    """The shapes, found by the .shx."""

    def __init__(self, path: Path, count: int):
        self.flattened = 0
        index = path.with_suffix(".shx").read_bytes()
        self._places = struct.unpack_from(f">{2 * count}i", index, SHX_HEADER)
        with path.open("rb") as opened:
            self._content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)

    def at(self, number: int) -> bytes | None:
        start = 2 * self._places[2 * number]
        try:
            _, words, kind = struct.unpack_from(">ii", self._content, start) + struct.unpack_from(
                "<i", self._content, start + 8
            )
            content = self._content[start + 8 : start + 8 + 2 * words]
            if len(content) < 2 * words:
                raise RefusedError(f"its .shp ends within its shape {number + 1}")
            self.flattened += kind > MULTIPOINT
            return None if kind == NULL else _shape(content, kind % 10 if kind > 10 else kind)
        except (struct.error, shapes.NoGeometryError):
            return UNREADABLE


def _shape(content: bytes, kind: int) -> bytes:
    if kind not in KINDS:
        return NOT_READ
    if kind == POINT:
        return shapes.point(*struct.unpack_from("<2d", content, 4))
    if kind == MULTIPOINT:
        (count,) = struct.unpack_from("<i", content, 36)
        return shapes.multi(shapes.MULTIPOINT, [shapes.point(*place) for place in _places(content, 40, count)])
    parts = _parts(content)
    if kind == LINE:
        made = [shapes.line(part) for part in parts]
        return made[0] if len(made) == 1 else shapes.multi(shapes.MULTILINE, made)
    polygons = [shapes.polygon(rings) for rings in _grouped(parts)]
    return polygons[0] if len(polygons) == 1 else shapes.multi(MULTIPOLYGON, polygons)


def _places(content: bytes, at: int, count: int) -> Ring:
    numbers = struct.unpack_from(f"<{2 * count}d", content, at)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _parts(content: bytes) -> list[Ring]:
    parts, points = struct.unpack_from("<2i", content, 36)
    starts = [*struct.unpack_from(f"<{parts}i", content, 44), points]
    every = _places(content, 44 + 4 * parts, points)
    return [every[start:end] for start, end in pairwise(starts)]


def _grouped(rings: list[Ring]) -> list[list[Ring]]:
    """Rings by polygon: outer ones go clockwise, and a hole is of the smallest outer ring that holds it."""
    outer = [ring for ring in rings if _area(ring) <= 0]
    holes = [ring for ring in rings if _area(ring) > 0]
    if not outer:
        return [[hole] for hole in holes]
    grouped = [[ring] for ring in outer]
    for hole in holes:
        around = [group for group in grouped if len(grouped) == 1 or _holds(group[0], hole)]
        if not around:
            grouped.append([hole])
            continue
        min(around, key=lambda group: abs(_area(group[0]))).append(hole)
    return grouped


def _area(ring: Ring) -> float:
    """Twice the area, positive where the ring goes against the clock."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(ring))


def _holds(ring: Ring, other: Ring) -> bool:
    """Whether the ring holds the first of the other's points that lies on none of its own."""
    own = set(ring)
    x, y = next((place for place in other if place not in own), other[0])
    inside = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside
