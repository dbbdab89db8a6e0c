"""Well-known binary taken apart by hand: what no library here reads, curves with heights, brought to two dimensions.

ISO 13249-3, 5.1.46; and the bits of PostGIS' older EWKB. Every count and depth is checked against the bytes there are.
"""

from __future__ import annotations

import struct

from terrane_spatial.wkb import CIRCULAR, EWKB_M, EWKB_SRID, EWKB_Z, LINE, POINT, POLYGON

MAX_DEPTH = 16
LAST = 17


def to_two_dimensions(value: bytes) -> bytes | None:
    """The geometry as ISO WKB in two dimensions, little endian; None when it is not whole, or nested too deeply."""
    try:
        made, end = _geometry(value, 0, 0)
    except (struct.error, ValueError):
        return None
    return made if end == len(value) else None


def _geometry(value: bytes, at: int, depth: int) -> tuple[bytes, int]:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    order = "<" if value[at : at + 1] == b"\x01" else ">"
    (code,) = struct.unpack_from(f"{order}I", value, at + 1)
    at += 5 + (4 if code & EWKB_SRID else 0)
    kind, thousands = (code & 0x1FFFFFFF) % 1000, (code & 0x1FFFFFFF) // 1000
    size = 2 + (bool(code & EWKB_Z) or thousands in (1, 3)) + (bool(code & EWKB_M) or thousands in (2, 3))
    head = struct.pack("<BI", 1, kind)
    if kind == POINT:
        made, at = _coordinates(value, at, order, 1, size)
        return head + made, at
    if not LINE <= kind <= LAST:
        raise ValueError("no type of geometry")
    (count,) = struct.unpack_from(f"{order}I", value, at)
    at += 4
    if count > len(value) - at:
        raise ValueError("more parts than bytes")
    parts = [head, struct.pack("<I", count)]
    if kind in (LINE, CIRCULAR):
        made, at = _coordinates(value, at, order, count, size)
        return b"".join([*parts, made]), at
    for _ in range(count):
        if kind == POLYGON:
            (points,) = struct.unpack_from(f"{order}I", value, at)
            made, at = _coordinates(value, at + 4, order, points, size)
            parts.append(struct.pack("<I", points))
        else:
            made, at = _geometry(value, at, depth + 1)
        parts.append(made)
    return b"".join(parts), at


def _coordinates(value: bytes, at: int, order: str, count: int, size: int) -> tuple[bytes, int]:
    end = at + 8 * size * count
    if end > len(value):
        raise ValueError("more coordinates than bytes")
    numbers = struct.unpack_from(f"{order}{size * count}d", value, at)
    flat = [number for place in range(0, len(numbers), size) for number in numbers[place : place + 2]]
    return struct.pack(f"<{2 * count}d", *flat), end
