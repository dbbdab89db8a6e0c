"""Coordinates of a system without an EPSG number brought to EPSG:4326 by all of its definition, the datum included.

Here, in the process that reads the file, because PROJ parses the definition, which the file may have made for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyproj
import shapely
from pyproj.transformer import TransformerGroup

from terrane_spatial.reading.child.reference_systems import parsed_system
from terrane_spatial.reading.child.shapes import parsed
from terrane_spatial.reading.layer import Met
from terrane_spatial.sandbox.protocol import RefusedError

HALF_WORLD, WORLD = 180.0, 360.0
WORLD_BOX = shapely.box(-HALF_WORLD, -90, HALF_WORLD, 90)
BEYOND_BOX = shapely.box(HALF_WORLD, -90, WORLD + HALF_WORLD, 90)
RADIUS_M, FLATTENING = 6_378_137, 298.25722
NO_PLACE = "coordinates that their own system has no place for"
# What PROJ calls a way between two datums of which it knows none.
UNKNOWN_SHIFT = "Ballpark"


class Degrees:
    """Brings geometries to degrees. Raises RefusedError for a system whose datum PROJ knows no way from."""

    def __init__(self, told: Any):
        system = parsed_system(told)
        ways = TransformerGroup(system, pyproj.CRS.from_epsg(4326), always_xy=True).transformers
        if not ways or (UNKNOWN_SHIFT in ways[0].description and not _is_of_the_earth(system)):
            raise RefusedError(
                f"its reference system {system.name!r} has no EPSG number, and a datum that nothing is known of; give "
                "the manifest's file a field crs, such as EPSG:4326"
            )
        self._way = pyproj.Transformer.from_crs(system, pyproj.CRS.from_epsg(4326), always_xy=True)

    def bring(self, geometry: Any, met: Met) -> tuple[Any, Any]:
        """The WKB of a batch in degrees, and which rows to keep; None for all."""
        values = np.array(geometry.to_pylist(), object)
        shapes = parsed(values)
        there = np.array([value is not None for value in values], bool)
        if (shapely.is_missing(shapes) & there).any():
            raise RefusedError(
                "it has curves, and a reference system without an EPSG number; send them as lines, or in another system"
            )
        moved = shapely.transform(shapes, self._moved)
        for at in np.flatnonzero(_across(moved)):
            moved[at] = on_both_sides(moved[at])
        numbers, rows = shapely.get_coordinates(moved, return_index=True)
        lost = np.unique(rows[~np.isfinite(numbers).all(axis=1)])
        keep = np.ones(len(values), bool)
        keep[lost] = shapely.is_empty(shapes[lost])
        if not keep.all():
            met.rejected[NO_PLACE] += int((~keep).sum())
        made = shapely.to_wkb(moved, flavor="iso", output_dimension=2)
        return pa.array(made, pa.binary()), None if keep.all() else keep

    def _moved(self, places: Any) -> Any:
        return np.stack(self._way.transform(places[:, 0], places[:, 1]), axis=1)


def _is_of_the_earth(system: Any) -> bool:
    """Whether its ellipsoid is that of WGS 84 or GRS 80, whose datums lie within a metre or two of each other."""
    found = system.ellipsoid
    return (
        found is not None
        and abs(found.semi_major_metre - RADIUS_M) < 1
        and abs(found.inverse_flattening - FLATTENING) < 1e-5
    )


def _across(shapes: Any) -> Any:
    """Which shapes seem to be wider than half the world: those that cross 180 degrees."""
    bounds = shapely.bounds(shapes)
    return bounds[:, 2] - bounds[:, 0] > HALF_WORLD


def on_both_sides(shape: Any) -> Any:
    """A shape whose places jump from one side of 180 degrees to the other, cut there."""
    unrolled = shapely.transform(
        shape, lambda p: np.stack([np.where(p[:, 0] < 0, p[:, 0] + WORLD, p[:, 0]), p[:, 1]], axis=1)
    )
    west = shapely.intersection(unrolled, WORLD_BOX)
    east = shapely.transform(shapely.intersection(unrolled, BEYOND_BOX), lambda p: p - [WORLD, 0])
    return shapely.union(west, east)
