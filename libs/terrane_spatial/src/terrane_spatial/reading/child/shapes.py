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


def rewritten(geometry: Any, rows: Any) -> tuple[Any, Any]:
    """The array with those rows as GEOS writes them, so that PostGIS reads them; and the rows GEOS does not read.

    Those have rings that are not closed, too few points, or counts beyond the end.
    """
    values = np.array(geometry.to_pylist(), object)
    shapes = parsed(values[rows])
    read = ~shapely.is_missing(shapes)
    values[rows[read]] = shapely.to_wkb(shapes[read], flavor="iso")
    return pa.array(values, pa.binary()), rows[~read]


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
