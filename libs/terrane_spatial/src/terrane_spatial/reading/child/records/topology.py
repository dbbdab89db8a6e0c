"""TopoJSON (github.com/topojson/topojson-specification): geometries put together again from the arcs they share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from terrane_spatial import wkb
from terrane_spatial.reading.child.records import shapes
from terrane_spatial.reading.child.records.table import TIMES, UNREADABLE, Record, Table, UnsupportedError
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.protocol import RefusedError

Places = list[tuple[float, float]]
COLLECTION = "GeometryCollection"
# What GDAL calls the layer of the objects that are geometries by themselves.
ALONE = "TopoJSON"


def open_topojson(source: Source) -> Table:
    try:
        with open(source.path, encoding="utf-8-sig") as opened:
            topology = json.load(opened)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"it is no JSON (RFC 8259): {error}") from None
    objects = topology.get("objects") if isinstance(topology, dict) else None
    if not isinstance(objects, dict):
        raise UnsupportedError("it has no objects")
    found = objects.get(source.layer or "")
    if isinstance(found, dict) and found.get("type") == COLLECTION:
        features = found.get("geometries")
    elif source.layer == ALONE:
        features = [each for each in objects.values() if isinstance(each, dict) and each.get("type") != COLLECTION]
    else:
        features = None
    if not isinstance(features, list):
        raise UnsupportedError(f"no object of it is a collection {source.layer}")
    arcs = _Arcs(topology)
    return Table([], lambda: _rows(features, arcs), otherwise=TIMES)


def _rows(features: list[Any], arcs: _Arcs) -> Iterator[Record]:
    for feature in features:
        if not isinstance(feature, dict):
            raise UnsupportedError("something else than geometries is among its geometries")
        told = feature.get("properties")
        values = dict(told) if isinstance(told, dict) else {}
        if feature.get("id") is not None:
            values = {"id": feature["id"], **values} if "id" not in values else {**values, "feature id": feature["id"]}
        yield Record(values, arcs.geometry(feature))


class _Arcs:
    """The lines that geometries are made of, each taken apart when it is first needed."""

    def __init__(self, topology: dict[str, Any]):
        self._arcs = topology.get("arcs") or []
        self._transform = topology.get("transform")
        self._made: dict[int, Places] = {}

    def geometry(self, told: dict[str, Any]) -> bytes | None:
        """WKB; None for none, UNREADABLE for what is no geometry of the format's."""
        if told.get("type") is None:
            return None
        try:
            return self._geometry(told, 0)
        except (shapes.NoGeometryError, TypeError, ValueError, KeyError, IndexError, OverflowError):
            return UNREADABLE

    def _geometry(self, told: dict[str, Any], depth: int) -> bytes:
        if told["type"] == COLLECTION and depth < shapes.MAX_DEPTH:
            return shapes.multi(wkb.COLLECTION, [self._geometry(part, depth + 1) for part in told["geometries"]])
        code = shapes.GEOJSON_TYPES[told["type"]]
        if code == shapes.POINT:
            return shapes.point(*self._placed(told["coordinates"]))
        if code == shapes.MULTIPOINT:
            return shapes.multi(code, [shapes.point(*self._placed(place)) for place in told["coordinates"]])
        arcs = told["arcs"]
        if code == shapes.LINE:
            return shapes.line(self._line(arcs))
        if code == shapes.POLYGON:
            return shapes.polygon([self._line(ring) for ring in arcs])
        if code == shapes.MULTILINE:
            return shapes.multi(code, [shapes.line(self._line(part)) for part in arcs])
        return shapes.multi(code, [shapes.polygon([self._line(ring) for ring in part]) for part in arcs])

    def _line(self, numbers: Sequence[int]) -> Places:
        """The arcs one after the other, the last place of each being the first of the next."""
        line: Places = []
        for number in numbers:
            places = self._arc(~number)[::-1] if number < 0 else self._arc(number)
            line += places[1:] if line else places
        return line

    def _arc(self, number: int) -> Places:
        if number not in self._made:
            x = y = 0
            places = []
            for place in self._arcs[number]:
                # With a transform, places are steps from one to the next.
                x, y = (x + place[0], y + place[1]) if self._transform else (place[0], place[1])
                places.append(self._placed((x, y)))
            self._made[number] = places
        return self._made[number]

    def _placed(self, place: Sequence[Any]) -> tuple[float, float]:
        x, y = place[0], place[1]
        if type(x) not in (int, float) or type(y) not in (int, float):
            raise shapes.NoGeometryError
        if not self._transform:
            return float(x), float(y)
        (scale_x, scale_y), (begin_x, begin_y) = self._transform["scale"], self._transform["translate"]
        return x * scale_x + begin_x, y * scale_y + begin_y
