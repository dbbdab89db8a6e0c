"""Coordinates of a system without an EPSG number brought to EPSG:4326 by all of its definition, the datum included.

Here, in the process that reads the file, because PROJ parses the definition, which the file may have made for it.
"""

from __future__ import annotations

from collections.abc import Callable
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
# A ring that begins in this world may go on into the one on either side.
WORLDS = (-1, 0, 1)
POLE = 90.0
MENDED = "geometries made valid to be cut at 180 degrees"
RADIUS_M, FLATTENING = 6_378_137, 298.25722
NO_PLACE = "coordinates that their own system has no place for"
# What PROJ calls a way between two datums of which it knows none.
UNKNOWN_SHIFT = "Ballpark"
Moved = Callable[[Any], Any]


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
        numbers, rows = shapely.get_coordinates(moved, return_index=True)
        lost = np.unique(rows[~np.isfinite(numbers).all(axis=1)])
        for at in np.setdiff1d(np.flatnonzero(_wide(moved)), lost):
            moved[at] = on_both_sides(moved[at], shapes[at], self._moved, met)
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


def _wide(shapes: Any) -> Any:
    """Which shapes are wider than half the world: those that cross 180 degrees, or lie on both sides of it."""
    bounds = shapely.bounds(shapes)
    return bounds[:, 2] - bounds[:, 0] > HALF_WORLD


def on_both_sides(shape: Any, before: Any, moved: Moved, met: Met) -> Any:
    """The shape with what jumps from one side of 180 degrees to the other cut there (RFC 7946, 3.1.9).

    A shape may be wide and jump nowhere: a country with islands in every ocean, a belt around the Earth.

    Args:
        before: the shape in its own system, with a place for each of this one's.
        moved: brings places of that system to degrees.
    """
    pieces, found = [], False
    for leaf, drawn in zip(_leaves(shape), _leaves(before), strict=True):
        crossings = [_crossings(path, own, moved) for path, own in zip(_paths(leaf), _paths(drawn), strict=True)]
        jumps = any(crossed.any() for crossed in crossings)
        pieces += _cut(leaf, crossings, met) if jumps else [leaf]
        found |= jumps
    return _together(pieces) if found else shape


def _leaves(shape: Any) -> list[Any]:
    return [leaf for part in shape.geoms for leaf in _leaves(part)] if hasattr(shape, "geoms") else [shape]


def _together(pieces: list[Any]) -> Any:
    kinds = {piece.geom_type for piece in pieces}
    many = {"Polygon": shapely.MultiPolygon, "LineString": shapely.MultiLineString, "Point": shapely.MultiPoint}
    return many[kinds.pop()](pieces) if len(kinds) == 1 else shapely.GeometryCollection(pieces)


def _paths(leaf: Any) -> list[Any]:
    """(n, 2) places of each ring, or of the line."""
    rings = [leaf.exterior, *leaf.interiors] if leaf.geom_type == "Polygon" else [leaf]
    return [shapely.get_coordinates(ring) for ring in rings]


def _crossings(path: Any, own: Any, moved: Moved) -> Any:
    """By how many turns each step of the path goes around the world: -1 or 1 across 180 degrees, else none.

    A step of more than half the world is taken the way on which its middle lies. Along a pole, every longitude is one.
    """
    steps = np.diff(path[:, 0])
    turns = np.zeros(len(steps), int)
    along = (np.abs(path[1:, 1]) == POLE) & (np.abs(path[:-1, 1]) == POLE)
    at = np.flatnonzero((np.abs(steps) > HALF_WORLD) & ~along)
    if len(at):
        middles = moved((own[at] + own[at + 1]) / 2)[:, 0]
        apart = np.abs(middles - (path[at, 0] + path[at + 1, 0]) / 2) % WORLD
        turns[at] = np.where(np.minimum(apart, WORLD - apart) > HALF_WORLD / 2, -np.sign(steps[at]), 0)
    return turns


def _cut(leaf: Any, crossings: list[Any], met: Met) -> list[Any]:
    """The pieces of a line or a polygon in this world, each of the leaf's own kind."""
    whole = _unrolled(leaf, crossings, met)
    pieces = []
    for world in WORLDS:
        middle = WORLD * world
        seen = shapely.intersection(whole, shapely.box(middle - HALF_WORLD, -POLE, middle + HALF_WORLD, POLE))
        here = shapely.transform(seen, lambda places, middle=middle: places - [middle, 0])
        pieces += [piece for piece in _leaves(here) if piece.geom_type == leaf.geom_type and not piece.is_empty]
    # What goes around a pole meets itself where it began.
    return _leaves(shapely.union_all(pieces))


def _unrolled(leaf: Any, crossings: list[Any], met: Met) -> Any:
    """The leaf with longitudes counted on across 180 degrees, and closed over the pole that it goes around."""
    paths = [_counted_on(path, turns) for path, turns in zip(_paths(leaf), crossings, strict=True)]
    if leaf.geom_type != "Polygon":
        return shapely.LineString(paths[0])
    outer, *holes = (_closed(path) for path in paths)
    middle = (outer[:, 0].min() + outer[:, 0].max()) / 2
    turns = [WORLD * round((middle - (hole[:, 0].min() + hole[:, 0].max()) / 2) / WORLD) for hole in holes]
    rings = [outer, *(hole + np.array([turn, 0]) for hole, turn in zip(holes, turns, strict=True))]
    areas: Any = shapely.polygons([shapely.linearrings(ring) for ring in rings])
    if not shapely.is_valid(areas).all():
        areas = shapely.make_valid(areas)
        met.counts[MENDED] += 1
    # A hole around the pole has an edge with what is around it, which no hole of a polygon may have.
    return shapely.difference(areas[0], shapely.union_all(areas[1:]))


def _counted_on(path: Any, turns: Any) -> Any:
    return np.stack([path[:, 0] + WORLD * np.concatenate([[0], np.cumsum(turns)]), path[:, 1]], axis=1)


def _closed(ring: Any) -> Any:
    around = ring[-1, 0] - ring[0, 0]
    if abs(around) < HALF_WORLD:
        return ring
    pole = np.copysign(POLE, ring[:, 1].mean())
    return np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])
