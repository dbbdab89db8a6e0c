"""Well-known binary (ISO 13249-3): its types, and the type of every geometry of an Arrow array.

numpy is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from terrane_spatial.arrow_buffers import bounds_of, numbers_at

if TYPE_CHECKING:
    import pyarrow as pa

# A byte of order and four of the type's number.
WKB_HEAD = 5
POINT, LINE, POLYGON, MULTIPOLYGON, COLLECTION, CIRCULAR = 1, 2, 3, 6, 7, 8
TYPE_NAMES = (
    *("Geometry", "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"),
    *("GeometryCollection", "CircularString", "CompoundCurve", "CurvePolygon", "MultiCurve", "MultiSurface"),
    *("Curve", "Surface", "PolyhedralSurface", "TIN", "Triangle"),
)
# The bits of PostGIS' older EWKB.
EWKB_Z, EWKB_M, EWKB_SRID = 0x80000000, 0x40000000, 0x20000000


def wkb_codes(geometry: pa.Array) -> Any:
    """The type number of every WKB that is not null, as int64: 1 a point to 7 a collection, 1000 more with Z."""
    import numpy as np

    data = geometry.buffers()[2]
    if data is None or data.size < WKB_HEAD:
        return np.empty(0, np.int64)
    bounds = bounds_of(geometry)
    content = np.frombuffer(data, np.uint8)
    starts = bounds[:-1][np.diff(bounds) >= WKB_HEAD].astype(np.int64)
    little = content[starts] == 1
    numbers = numbers_at(content, starts + 1, "<u4")
    return (numbers if little.all() else np.where(little, numbers, numbers.byteswap())).astype(np.int64)


def without_empty_holes(value: bytes) -> bytes | None:
    """ISO WKB in two dimensions, little endian, without holes that have no points; None for what is not such WKB."""
    try:
        made, end = _without_empty_holes(value, 0)
    except (struct.error, RecursionError):
        return None
    return made if end == len(value) else None


def _without_empty_holes(value: bytes, at: int) -> tuple[bytes, int]:
    order, kind = struct.unpack_from("<BI", value, at)
    if order != 1:
        raise struct.error("big endian")
    if kind == POINT:
        return value[at : at + WKB_HEAD + 16], at + WKB_HEAD + 16
    (count,) = struct.unpack_from("<I", value, at + WKB_HEAD)
    head, at = value[at : at + WKB_HEAD], at + WKB_HEAD + 4
    if kind == LINE:
        return head + value[at - 4 : at + 16 * count], at + 16 * count
    kept = []
    for number in range(count):
        if kind == POLYGON:
            (points,) = struct.unpack_from("<I", value, at)
            part, at = value[at : at + 4 + 16 * points], at + 4 + 16 * points
            if number and not points:
                continue
        else:
            part, at = _without_empty_holes(value, at)
        kept.append(part)
    return b"".join((head, struct.pack("<I", len(kept)), *kept)), at


def rings_of(value: bytes) -> list[bytes] | None:
    """The points of each ring of a polygon or a multipolygon, in two dimensions and little endian; None of others."""
    try:
        rings, end = _rings(value, 0)
    except struct.error:
        return None
    return rings if end == len(value) else None


def _rings(value: bytes, at: int) -> tuple[list[bytes], int]:
    order, kind, count = struct.unpack_from("<BII", value, at)
    if order != 1 or kind not in (POLYGON, MULTIPOLYGON):
        raise struct.error("no polygon, or big endian")
    at, rings = at + WKB_HEAD + 4, []
    for _ in range(count):
        if kind == MULTIPOLYGON:
            part, at = _rings(value, at)
            rings += part
        else:
            (points,) = struct.unpack_from("<I", value, at)
            rings.append(value[at + 4 : at + 4 + 16 * points])
            at += 4 + 16 * points
    return rings, at
