"""Geometries of a file that no table should get: judged and mended in the process that reads the file.

Here too, because a library that parses a geometry may be made to fall over it. Every rule is counted.

shapely is imported where it is used, with the module that needs it: files of plain geometries never do.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions at import, where a type checker does not see them.

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from terrane_spatial.arrow_buffers import bounds_of, numbers_at, valid
from terrane_spatial.reading.layer import Met
from terrane_spatial.wkb import (
    COLLECTION,
    EWKB_M,
    EWKB_SRID,
    EWKB_Z,
    LINE,
    MULTIPOLYGON,
    POINT,
    POLYGON,
    TYPE_NAMES,
    WKB_HEAD,
    wkb_codes,
)

COUNT_END, POINT_END = 9, 21
# The bits of a double's exponent, in its first two bytes.
EXPONENT = 0x7FF0
CURVED = frozenset({8, 9, 10, 11, 12})
REFUSED = frozenset({13, 14, 15, 16, 17})
HAS_Z, HAS_M = "with heights (Z)", "with measures (M)"
NO_GEOMETRY = "geometry that is no WKB"
# A reader by hand marks with one byte a geometry that is there and cannot be read.
UNREADABLE = b"?"
CANNOT_BE_READ = "geometry that cannot be read"
EMPTY = "empty geometries"
NOT_WHOLE = "geometry that is not whole"
NOT_FINITE = "coordinates that are not finite numbers"


def clean(geometry: Any, met: Met, strict: bool = False) -> tuple[Any, Any]:
    """The geometries of a batch in two dimensions, and which rows to keep; None for all.

    Args:
        geometry: an Arrow array of binary, WKB.
        met: is added to.
        strict: whether every geometry is parsed, to reject by its row what PostGIS would reject the file for.
    """

    met.rows += len(geometry)
    geometry = _nothing_as_null(geometry)
    _count(met.counts, "null geometries", geometry.null_count)
    short = _shorter_than_a_head(geometry)
    codes = wkb_codes(geometry)
    keep = None
    if not short.any() and not len(codes):
        return geometry, None
    if not strict and not short.any() and POINT <= codes[0] <= MULTIPOLYGON and (codes == codes[0]).all():
        return _clean_plain(geometry, int(codes[0]), met)
    kinds, dimensions = _kinds(codes)
    for code, number in zip(*np.unique(kinds, return_counts=True), strict=True):
        met.types[_type_name(int(code))] += int(number)
    marked = _marked(geometry) if short.any() else short
    bad: dict[str, Any] = {CANNOT_BE_READ: marked, NO_GEOMETRY: short & ~marked} if short.any() else {}
    _count_systems(geometry, codes, met)
    rows = np.flatnonzero(_lengths(geometry) >= WKB_HEAD)
    for code in REFUSED & set(kinds.tolist()):
        bad[f"geometry of type {_type_name(code)}"] = _mask(len(geometry), rows[kinds == code])
    raised = rows[dimensions.any(axis=1)]
    _count(met.counts, f"geometries {HAS_Z}", int(dimensions[:, 0].sum()))
    _count(met.counts, f"geometries {HAS_M}", int(dimensions[:, 1].sum()))
    _count(met.counts, EMPTY, _empty(geometry, kinds))
    met.unfinished += int(np.isin(kinds, list(CURVED)).sum())
    if len(raised):
        geometry, unread = _shapes().in_two_dimensions(geometry, raised, met)
        bad |= {NOT_WHOLE: _mask(len(geometry), unread)} if len(unread) else {}
    if strict:
        geometry, unread = _shapes().rewritten(geometry, rows[kinds <= COLLECTION], met)
        bad[NOT_WHOLE] = bad.get(NOT_WHOLE, False) | _mask(len(geometry), unread)
    if (wild := _not_finite(geometry)) is not None:
        bad[NOT_FINITE] = wild
    if bad:
        keep = np.ones(len(geometry), bool)
        for reason, mask in bad.items():
            _count(met.rejected, reason, int((mask & keep).sum()))
            keep &= ~mask
    return geometry, keep


def _marked(geometry: Any) -> Any:
    """The values of which a reader by hand says that they are no geometry that can be read."""
    return np.array([value == UNREADABLE for value in geometry.to_pylist()], bool)


def _count_systems(geometry: Any, codes: Any, met: Met) -> None:
    """Counts the reference systems that EWKB names."""
    named = (codes & EWKB_SRID) != 0
    if named.any():
        starts, ends = _starts(geometry)
        at = starts[named & (ends - starts >= COUNT_END)]
        content = np.frombuffer(geometry.buffers()[2], np.uint8)
        numbers = numbers_at(content, at + WKB_HEAD, "<u4")
        for number, times in zip(
            *np.unique(np.where(content[at] == 1, numbers, numbers.byteswap()), return_counts=True), strict=True
        ):
            met.systems[str(int(number))] += int(times)


def _shapes() -> Any:
    """GEOS, which most files need not wait for."""
    from terrane_spatial.reading.child import shapes

    return shapes


def _clean_plain(geometry: Any, kind: int, met: Met) -> tuple[Any, Any]:
    """What `clean` does, for geometries all of one type and in two dimensions: what most files are, in a sixth."""
    met.types[TYPE_NAMES[kind]] += len(geometry) - geometry.null_count
    numbers = _plain_points(geometry) if kind == POINT else None
    if numbers is None:
        empty, wild = _empty(geometry, kind), _not_finite(geometry)
    else:
        empty, wild = _of_points(numbers)
    _count(met.counts, EMPTY, empty)
    if wild is None:
        return geometry, None
    _count(met.rejected, NOT_FINITE, int(wild.sum()))
    return geometry, ~wild


def _plain_points(geometry: Any) -> Any:
    """(n, 2) coordinates of points that follow each other as most machines write them; None when some are else."""

    bounds, data = bounds_of(geometry), geometry.buffers()[2]
    if geometry.null_count or not (np.diff(bounds) == POINT_END).all():
        return None
    points = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]].reshape(len(geometry), POINT_END)
    return points[:, WKB_HEAD:].copy().view("<f8") if (points[:, 0] == 1).all() else None


def _of_points(numbers: Any) -> tuple[int, Any]:
    """How many of the points are empty, and which have a coordinate that is not finite; None for none."""

    finite = np.isfinite(numbers)
    if finite.all():
        return 0, None
    empty = np.isnan(numbers).all(axis=1)
    wild = ~finite.all(axis=1) & ~empty
    return int(empty.sum()), wild if wild.any() else None


def _type_name(code: int) -> str:
    return TYPE_NAMES[code] if code < len(TYPE_NAMES) else f"type {code}"


def _count(counts: Counter[str], what: str, number: int) -> None:
    if number:
        counts[what] += number


def _mask(length: int, rows: Any) -> Any:

    mask = np.zeros(length, bool)
    mask[rows] = True
    return mask


def _lengths(geometry: Any) -> Any:
    """Bytes of each value, 0 for null."""

    if geometry.buffers()[1] is None:
        return np.zeros(len(geometry), np.int64)
    return np.diff(bounds_of(geometry)).astype(np.int64)


def _nothing_as_null(geometry: Any) -> Any:
    """The array with null for values without a byte: what GDAL gives for a geometry that is not there."""

    nothing = _lengths(geometry) == 0
    if geometry.null_count:
        nothing &= valid(geometry)
    if not nothing.any():
        return geometry
    return pa.array(
        [None if empty else value for value, empty in zip(geometry.to_pylist(), nothing, strict=True)], pa.binary()
    )


def _shorter_than_a_head(geometry: Any) -> Any:
    short = _lengths(geometry) < WKB_HEAD
    return short & valid(geometry) if geometry.null_count else short


def _kinds(codes: Any) -> tuple[Any, Any]:
    """The types without their dimensions, and (n, 2) whether they have Z and M: of ISO's numbers and of EWKB's bits."""

    plain = codes & 0x1FFFFFFF
    thousands = plain // 1000
    z = ((codes & EWKB_Z) != 0) | (thousands == 1) | (thousands == 3)
    m = ((codes & EWKB_M) != 0) | (thousands == 2) | (thousands == 3)
    return plain % 1000, np.stack([z, m], axis=1)


def _starts(geometry: Any) -> tuple[Any, Any]:
    """Where each value that has a head begins, and where it ends."""

    bounds = bounds_of(geometry)
    rows = np.flatnonzero(np.diff(bounds) >= WKB_HEAD)
    return bounds[rows].astype(np.int64), bounds[rows + 1].astype(np.int64)


def _empty(geometry: Any, kinds: Any) -> int:
    """Geometries without a coordinate: a count of zero, or a point of NaN.

    Args:
        kinds: the type of each value that has a head, or of all.
    """

    content = np.frombuffer(geometry.buffers()[2], np.uint8)
    starts, ends = _starts(geometry)
    points = np.broadcast_to(kinds == POINT, len(starts))
    whole = ends - starts >= COUNT_END
    counted = starts[~points & whole]
    empty = int((~points & ~whole).sum()) + int((numbers_at(content, counted + WKB_HEAD, "<u4") == 0).sum())
    if not points.any():
        return empty
    at = starts[points & (ends - starts >= POINT_END)]
    little = content[at] == 1
    nowhere = np.ones(len(at), bool)
    for place in (WKB_HEAD, WKB_HEAD + 8):
        numbers = numbers_at(content, at + place, "<f8")
        nowhere &= np.isnan(np.where(little, numbers, numbers.byteswap()))
    return empty + int(nowhere.sum())


def _not_finite(geometry: Any) -> Any:
    """Which rows have a coordinate that is NaN or infinite, points that are empty excepted; None for none.

    Such a number has eleven set bits, which few others have where a number may be: only rows with those are parsed.
    """

    data = geometry.buffers()[2]
    if data is None or not len(geometry):
        return None
    bounds = bounds_of(geometry)
    content = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
    if len(content) < 2:
        return None
    starts = bounds.astype(np.int64) - int(bounds[0])
    rows = np.unique(_suspects(content, starts))
    if not len(rows):
        return None
    wild = _shapes().with_wild_numbers(geometry, rows)
    return _mask(len(geometry), wild) if len(wild) else None


def _suspects(content: Any, starts: Any) -> Any:
    """The rows in which a number may be that is none, with repetitions."""

    first = content[starts[:-1][np.diff(starts) > 0]]
    if len(content) < COUNT_END:
        return np.empty(0, np.int64)
    found = _exponents(content, "<u2")
    rows = np.searchsorted(starts, found, side="right") - 1
    # Bytes 6 and 7 of a number, little end first. Numbers lie behind a head of 5 bytes and counts of 4, so at 1 or 5
    # from the row's start, but for a whole number of numbers; the parts of a collection have heads of their own.
    shift, head = (found - 6 - starts[rows]) % 8, np.minimum(starts[rows], max(0, len(content) - COUNT_END))
    kind, count = numbers_at(content, head + 1, "<u4"), numbers_at(content, head + WKB_HEAD, "<u4")
    after_one_count = (shift == 1) & (kind != POINT) & ((kind != POLYGON) | (count > 1))
    after_none_or_two = (shift == WKB_HEAD) & (kind != LINE)
    little = rows[(kind > POLYGON) | after_one_count | after_none_or_two]
    if (first == 1).all():
        return little
    return np.concatenate([little, np.searchsorted(starts, _exponents(content, ">u2"), side="right") - 1])


def _exponents(content: Any, kind: str) -> Any:
    """Where two bytes are that end, or begin, a number whose exponent is all ones; at even places, then at odd ones."""

    found = []
    for begin in (0, 1):
        pairs = np.frombuffer(content, kind, (len(content) - begin) // 2, begin)
        found.append(np.flatnonzero((pairs & EXPONENT) == EXPONENT) * 2 + begin)
    return np.concatenate(found)
