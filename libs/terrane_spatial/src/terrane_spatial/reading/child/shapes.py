"""Geometries parsed by GEOS: those few of a layer that have heights or measures, or may hold what is no number.

Imported only where such a geometry is met: shapely takes longer to import than a small file to read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from terrane_spatial.reading.child.flatten import to_two_dimensions
from terrane_spatial.reading.layer import Met

# As PostGIS has it; three are enough for GEOS.
POINTS_OF_A_RING = 4


def in_two_dimensions(geometry: Any, rows: Any, met: Met) -> tuple[Any, Any]:
    """The array with those rows in two dimensions, and the rows that cannot be read."""
    values: Any = np.array(geometry.to_pylist(), object)
    shapes = parsed(values[rows])
    flat = shapely.to_wkb(shapely.force_2d(shapes), output_dimension=2, flavor="iso")
    # Of a curve, or of a collection that holds one, GEOS makes no WKB.
    for at in [at for at, made in enumerate(flat) if made is None]:
        flat[at] = to_two_dimensions(values[rows[at]])
        met.unfinished += 1
    read = np.array([made is not None for made in flat], bool)
    met.counts["geometries brought to two dimensions"] += int(read.sum())
    values[rows[read]] = flat[read]
    return pa.array(values, pa.binary()), rows[~read]


def rewritten(geometry: Any, rows: Any, met: Met) -> tuple[Any, Any]:
    """The array with those rows as GEOS writes them, so that PostGIS reads them; and the rows that one of them refuses.

    Those have rings that are not closed, too few points, or counts beyond the end. A hole without points is left out.
    """
    values = np.array(geometry.to_pylist(), object)
    shapes = parsed(values[rows])
    points, of = _points_of_rings(shapes)
    for at in np.unique(of[points == 0]):
        shapes[at] = _without_empty_holes(shapes[at], met)
    read = ~shapely.is_missing(shapes)
    read[of[(points > 0) & (points < POINTS_OF_A_RING)]] = False
    values[rows[read]] = shapely.to_wkb(shapes[read], flavor="iso")
    return pa.array(values, pa.binary()), rows[~read]


def _points_of_rings(shapes: Any) -> tuple[Any, Any]:
    """How many points each ring of each polygon has, and of which of the shapes it is; collections are gone through."""
    at, points, of = np.arange(len(shapes)), [np.empty(0, int)], [np.empty(0, int)]
    while len(shapes):
        kinds = shapely.get_type_id(shapes)
        polygons, more = kinds == shapely.GeometryType.POLYGON, kinds >= shapely.GeometryType.MULTIPOLYGON
        rings, belongs = shapely.get_rings(shapes[polygons], return_index=True)
        points.append(shapely.get_num_points(rings))
        of.append(at[polygons][belongs])
        shapes, part_of = shapely.get_parts(shapes[more], return_index=True)
        at = at[more][part_of]
    return np.concatenate(points), np.concatenate(of)


def _without_empty_holes(shape: Any, met: Met) -> Any:
    """The shape with what GEOS takes for a hole and PostGIS for too few points left out, and counted."""
    if shape.geom_type == "Polygon":
        holes = [hole for hole in shape.interiors if not hole.is_empty]
        left_out = len(shape.interiors) - len(holes)
        met.counts["holes without points left out"] += left_out
        return shapely.Polygon(shape.exterior, holes) if left_out else shape
    if shape.geom_type in ("MultiPolygon", "GeometryCollection"):
        return type(shape)([_without_empty_holes(part, met) for part in shape.geoms])
    return shape


def parsed(values: Any) -> Any:
    """The shapes of WKB; none for what GEOS does not read, curves among it."""
    with np.errstate(invalid="ignore"):
        try:
            return shapely.from_wkb(values, on_invalid="ignore")
        except NotImplementedError:
            return np.array([_parsed_alone(value) for value in values], object)


def _parsed_alone(value: bytes) -> Any:
    try:
        return shapely.from_wkb(value, on_invalid="ignore")
    except NotImplementedError:
        return None


def with_wild_numbers(geometry: Any, rows: Any) -> Any:
    """Those of the rows that have a coordinate which is NaN or infinite, points that are empty excepted."""
    values = np.array(geometry.take(rows).to_pylist(), object)
    numbers, of = shapely.get_coordinates(parsed(values), return_index=True)
    return rows[np.unique(of[~np.isfinite(numbers).all(axis=1)])]
