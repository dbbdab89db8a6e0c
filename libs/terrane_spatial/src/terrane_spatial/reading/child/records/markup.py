"""GML, KML and GPX by expat: the texts of features, each under the name of its element."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from terrane_spatial.reading.child.records import shapes
from terrane_spatial.reading.child.records.table import (
    FLAGS,
    NOT_READ,
    NUMBERS,
    PLAIN,
    TIMES,
    TYPED,
    UNREADABLE,
    Record,
    Table,
    UnsupportedError,
)
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.protocol import RefusedError

CHUNK = 1 << 16
MAX_DEPTH = 200
# What OGC's names of an EPSG system end with, in URNs, addresses and short.
EPSG_NAME = re.compile(r"EPSG(?:\.xml|[:/][\d.]*)?[:/#](\d{3,6})\Z", re.IGNORECASE)
DECIMAL = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)\s*\Z", re.ASCII)
GPX_LAYERS = {"waypoints": "wpt", "routes": "rte", "tracks": "trk"}
GPX_NUMBERS = ("ele", "magvar", "geoidheight", "sat", "hdop", "vdop", "pdop", "ageofdgpsdata", "dgpsid", "number")
GPX_TEXTS = ("name", "cmt", "desc", "src", "sym", "type", "fix")
KML_TYPES = {
    **dict.fromkeys(("int", "uint", "short", "ushort", "float", "double"), NUMBERS),
    "bool": FLAGS,
}
CONTAINERS = ("Document", "Folder", "kml")
# The columns that GDAL makes of elements and attributes of a placemark, in lower case.
KML_COLUMNS = (
    *("id", "name", "description", "timestamp", "begin", "end", "altitudemode", "tessellate", "extrude", "visibility"),
    *("draworder", "icon"),
)
RENAMED_DATA = "data named as KML's own elements, and their columns"


@dataclass
class Element:
    """An element of a feature, with those in it."""

    name: str
    attributes: dict[str, str]
    parts: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def find(self, name: str) -> Element | None:
        return next((part for part in self.parts if part.name == name), None)


def _features(path: str, wanted: Any) -> Iterator[tuple[list[Element], Element]]:
    """The elements that `wanted` says yes to, given those around it, each whole; what lies outside is not kept."""
    found: list[tuple[list[Element], Element]] = []
    around: list[Element] = []
    inside: list[Element] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        if len(around) + len(inside) > MAX_DEPTH:
            raise UnsupportedError("its elements are nested too deeply")
        made = Element(name.rpartition(":")[2], attributes)
        if inside:
            inside[-1].parts.append(made)
            inside.append(made)
        elif wanted(around, made):
            inside.append(made)
        else:
            around.append(made)

    def end(_: str) -> None:
        if not inside:
            left = around.pop()
            if around and left.name == "name":
                around[-1].parts.append(left)
        elif len(inside) == 1:
            found.append((list(around), inside.pop()))
        else:
            inside.pop()

    def text(data: str) -> None:
        if inside:
            inside[-1].pieces.append(data)
        elif around and around[-1].name == "name":
            around[-1].pieces.append(data)

    def no_types(*_: Any) -> None:
        raise UnsupportedError("it has a document type, which this reader does not read")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, no_types
    try:
        with open(path, "rb") as opened:
            while chunk := opened.read(CHUNK):
                parser.Parse(chunk, False)
                yield from found
                found.clear()
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise UnsupportedError(f"expat: {error}") from None
    yield from found


def open_gml(source: Source) -> Table:
    def wanted(around: list[Element], made: Element) -> bool:
        return (
            bool(around)
            and around[-1].name in ("featureMember", "featureMembers", "member", "members")
            and (made.name == source.layer or source.layer is None)
        )

    systems: dict[str, None] = {}

    def rows() -> Iterator[Record]:
        for _, feature in _features(source.path, wanted):
            for name in _systems(feature):
                systems.setdefault(name)
            _refuse_systems(systems)
            yield Record(_leaves(feature), NOT_READ)

    table = Table([], rows, otherwise=TYPED)
    table.whole = False
    return table


def _leaves(feature: Element) -> dict[str, Any]:
    """The texts of the elements that hold nothing else; of one that is repeated, none."""
    values: dict[str, Any] = {}
    repeated = set()
    for part in feature.parts:
        if part.name in values:
            repeated.add(part.name)
        if not part.parts:
            values[part.name] = part.text.strip() or None
    return {name: value for name, value in values.items() if name not in repeated}


def _systems(element: Element) -> Iterator[str]:
    if name := element.attributes.get("srsName"):
        number = EPSG_NAME.search(name)
        yield f"EPSG:{number.group(1)}" if number else name
    for part in element.parts:
        yield from _systems(part)


def _refuse_systems(systems: dict[str, None]) -> None:
    if len(systems) > 1:
        raise RefusedError(f"its features are in several reference systems, {', '.join(systems)}; send them in one")


def open_kml(source: Source) -> Table:
    kinds: dict[str, str] = {}
    renamed: dict[str, str] = {}

    def wanted(around: list[Element], made: Element) -> bool:
        if made.name == "SimpleField":
            kinds[_column_of_data(made.attributes.get("name", ""))] = KML_TYPES.get(
                made.attributes.get("type", ""), PLAIN
            )
        return made.name == "Placemark" and all(each.name in CONTAINERS for each in around)

    containers = {id(around[-1]): around[-1] for around, _ in _kept(source.path, wanted)}
    if len(containers) > 1 and [_name_of(each) for each in containers.values()].count(source.layer) != 1:
        raise UnsupportedError("its placemarks are in several folders, and not one of them has the layer's name")

    def rows() -> Iterator[Record]:
        for around, placemark in _features(source.path, wanted):
            if len(containers) == 1 or _name_of(around[-1]) == source.layer:
                yield Record(_of_placemark(placemark, renamed), NOT_READ)

    table = Table([], rows, texts=kinds)
    table.whole, table.facts[RENAMED_DATA] = False, renamed
    return table


def _name_of(container: Element) -> str | None:
    name = container.find("name")
    return name.text if name else None


def _kept(path: str, wanted: Any) -> list[tuple[list[Element], Element]]:
    return list(_features(path, wanted))


def _of_placemark(placemark: Element, renamed: dict[str, str]) -> dict[str, Any]:
    """The values of its id, its name and its data; data of a name that is taken get another, which `renamed` has."""
    values: dict[str, Any] = {}
    if (identifier := placemark.attributes.get("id")) is not None:
        values["id"] = identifier or None
    name = placemark.find("name")
    if name is not None:
        values["Name"] = name.text or None
    extended = placemark.find("ExtendedData")
    for part in extended.parts if extended else []:
        if part.name == "Data":
            value = part.find("value")
            _add(values, renamed, part, value.text if value else None)
        elif part.name == "SchemaData":
            for each in part.parts:
                if each.name == "SimpleData":
                    _add(values, renamed, each, each.text)
    return values


def _add(values: dict[str, Any], renamed: dict[str, str], data: Element, text: str | None) -> None:
    name = data.attributes.get("name", "")
    column = _column_of_data(name)
    if column != name:
        renamed[name] = column
    values[column] = text or None


def _column_of_data(name: str) -> str:
    """What GDAL calls a column of data: by another name where one of KML's own elements has it already."""
    return f"{name}2" if name.casefold() in KML_COLUMNS else name


def open_gpx(source: Source) -> Table:
    element = GPX_LAYERS.get(str(source.layer))
    if element is None:
        raise UnsupportedError(f"its layer {source.layer} is made of points of others")

    left_out: dict[str, str] = {}

    def rows() -> Iterator[Record]:
        for _, found in _features(source.path, lambda around, made: len(around) == 1 and made.name == element):
            names = (*GPX_NUMBERS, *GPX_TEXTS, "time")
            values = {p.name: p.text.strip() or None for p in found.parts if p.name in names and not p.parts}
            if found.find("extensions"):
                left_out["extensions"] = "elements that GPX knows nothing of"
            yield Record({**values, **_links(found)}, _waypoint(found) if element == "wpt" else NOT_READ)

    texts = {**dict.fromkeys(GPX_NUMBERS, NUMBERS), "time": TIMES}
    table = Table([], rows, texts=texts)
    table.whole, table.left_out = element == "wpt", left_out
    return table


def _links(found: Element) -> dict[str, str | None]:
    """The links, named as GDAL does, which reads the first two."""
    values: dict[str, str | None] = {}
    for number, link in enumerate((part for part in found.parts if part.name == "link"), start=1):
        values[f"link{number}_href"] = link.attributes.get("href") or None
        values |= {
            f"link{number}_{part.name}": part.text or None for part in link.parts if part.name in ("text", "type")
        }
    return values


def _waypoint(found: Element) -> bytes:
    """GPX 1.1: lat and lon are xsd:decimal, which has a point, no comma, and at least one digit."""
    x, y = (found.attributes.get(name, "") for name in ("lon", "lat"))
    return shapes.point(float(x), float(y)) if DECIMAL.match(x) and DECIMAL.match(y) else UNREADABLE
