"""Shapefiles: the .shp and .shx of ESRI's technical description of 1998, the .dbf of dBASE's table file format."""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrane_spatial.reading.child.records import shapefile_shapes
from terrane_spatial.reading.child.records.table import DATES, NUMBERS, Access, Record, Table
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.protocol import RefusedError

HEADER, FIELD, END_OF_FIELDS, DELETED = 32, 32, 0x0D, 0x2A
SHX_HEADER, SHX_RECORD = 100, 8
READ_TYPES = frozenset("CNFLD")
TAKEN_AS = {"D": DATES, "N": NUMBERS, "F": NUMBERS}
# dBASE's marks of code pages, as in xBase's descriptions and ArcGIS' list.
CODE_PAGES = {
    **dict.fromkeys((0x01, 0x09, 0x0B, 0x0D, 0x0F, 0x11, 0x15, 0x18, 0x19, 0x1B), "cp437"),
    **dict.fromkeys((0x02, 0x0A, 0x0E, 0x10, 0x12, 0x14, 0x16, 0x1A, 0x1D, 0x25, 0x37), "cp850"),
    **dict.fromkeys((0x03, 0x58, 0x59, 0x57), "cp1252"),
    **dict.fromkeys((0x1F, 0x22, 0x23, 0x40, 0x64, 0x87), "cp852"),
    **dict.fromkeys((0x26, 0x65), "cp866"),
    0x08: "cp865",
    0x66: "cp865",
    0x67: "cp861",
    0x6A: "cp737",
    0x86: "cp737",
    0x6B: "cp857",
    0x88: "cp857",
    0x13: "cp932",
    0x7B: "cp932",
    0x4D: "cp936",
    0x7A: "cp936",
    0x4E: "cp949",
    0x79: "cp949",
    0x4F: "cp950",
    0x78: "cp950",
    0x50: "cp874",
    0x7C: "cp874",
    0x24: "cp860",
    0x6C: "cp863",
    0x1C: "cp863",
    0x7D: "cp1255",
    0x7E: "cp1256",
    0xC8: "cp1250",
    0xC9: "cp1251",
    0xCA: "cp1254",
    0xCB: "cp1253",
    0xCC: "cp1257",
}
MAX_CPG_BYTES = 64
CPG_NUMBER = re.compile(r"(?:oem|ansi|cp|windows|ibm|dos|microsoft)?[ _-]*(\d{3,5})\Z", re.IGNORECASE)
ISO_NUMBER = re.compile(r"(?:iso[ _-]*)?8859[ _-]*(\d{1,2})\Z|(885910|88591[1-6]|8859\d)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Field:
    name: bytes
    type: str
    width: int
    decimals: int
    begin: int


def declared_encoding(path: Path) -> tuple[str | None, str | None]:
    """What the .cpg, or else the .dbf, says of the text's encoding, and the codec of that; None for none.

    Raises RefusedError for a name that is none known here.
    """
    cpg = path.with_suffix(".cpg")
    if cpg.is_file():
        told = cpg.read_bytes()[:MAX_CPG_BYTES].decode("latin-1").strip().strip("\ufeff\xef\xbb\xbf").strip()
        if told:
            return told, _codec(told)
    with path.with_suffix(".dbf").open("rb") as opened:
        mark = opened.read(HEADER)[29:30]
    codec = CODE_PAGES.get(mark[0]) if mark else None
    return (f"code page {mark.hex()} of the .dbf", codec) if codec else (None, None)


def _codec(told: str) -> str:
    iso, number = ISO_NUMBER.match(told), CPG_NUMBER.match(told)
    names = [told]
    if iso:
        names = [f"iso8859-{iso.group(1) or iso.group(2).removeprefix('8859')}"]
    elif number:
        names = ["utf-8" if number.group(1) == "65001" else f"cp{number.group(1)}", told]
    for name in names:
        try:
            return codecs.lookup(name).name
        except LookupError:
            continue
    raise RefusedError(
        f"its .cpg says {told!r}, which is no encoding known here; give the manifest's file the field encoding"
    )


def open_shapefile(source: Source) -> Table:
    path = Path(source.path)
    codec = codecs.lookup(source.encoding).name if source.encoding else declared_encoding(path)[1]
    dbf = _Dbf(path.with_suffix(".dbf"), codec)
    shapes = (path.with_suffix(".shx").stat().st_size - SHX_HEADER) // SHX_RECORD
    rows = max(shapes, dbf.count)
    facts: dict[str, Any] = {}
    if dbf.count != shapes:
        facts["records beside shapes"] = f"{dbf.count} records in the .dbf, {shapes} shapes in the .shp"
    geometries = shapefile_shapes.Shapes(path, shapes)

    def record(at: int) -> Record | None:
        values = dbf.values(at) if at < dbf.count else [None] * len(dbf.fields)
        if values is None:
            return None
        return Record(values, geometries.at(at) if at < shapes else None)

    def every() -> Iterator[Record]:
        geometries.flattened = 0
        for at in range(rows):
            if (made := record(at)) is not None:
                table.flattened = geometries.flattened
                yield made

    def some(places: Sequence[int]) -> Iterator[Record]:
        return (record(at) or Record([], None) for at in places)

    types = [(name, field.type) for name, field in zip(dbf.names, dbf.fields, strict=True)]
    texts = {name: TAKEN_AS[kind] for name, kind in types if kind in TAKEN_AS}
    table = Table(dbf.names, every, Access(at=None if dbf.deleted() else some), texts)
    table.count, table.by_place, table.facts = rows - dbf.deleted(), True, facts
    table.left_out = {name: f"type {kind}" for name, kind in types if kind not in READ_TYPES}
    return table


class _Dbf:
    """A .dbf, mapped: its fields, and the values of any record."""

    def __init__(self, path: Path, codec: str | None):
        self._content = path.read_bytes()
        if len(self._content) < HEADER:
            raise RefusedError("its .dbf ends within its head")
        said, self._begin, self._size = struct.unpack_from("<IHH", self._content, 4)
        if not self._size:
            raise RefusedError("its .dbf has records without a byte")
        self.count = min(said, max(0, len(self._content) - self._begin) // self._size)
        if said > self.count + 1:
            raise RefusedError(f"its .dbf says it has {said} records, and ends after {self.count}")
        self.count = min(said, -(-max(0, len(self._content) - self._begin) // self._size))
        self._codec = codec
        self.fields = self._fields()
        self.names = _distinct([self._name(field.name) for field in self.fields])

    def deleted(self) -> int:
        """How many records are marked as deleted."""
        return sum(self._content[at] == DELETED for at in self._starts())

    def values(self, at: int) -> list[Any] | None:
        """The values of a record; None for one that is deleted."""
        start = self._begin + at * self._size
        if self._content[start] == DELETED:
            return None
        return [
            self._value(field, self._content[start + field.begin : start + field.begin + field.width])
            for field in self.fields
        ]

    def _starts(self) -> range:
        return range(self._begin, self._begin + self.count * self._size, self._size)

    def _fields(self) -> list[Field]:
        fields, begin = [], 1
        for at in range(HEADER, min(self._begin, len(self._content)) - 1, FIELD):
            if self._content[at] == END_OF_FIELDS:
                break
            name, kind, width, decimals = struct.unpack_from("<11sc4xBB", self._content, at)
            # Of text a width above 255 has its upper byte where others have decimals.
            if kind == b"C":
                width, decimals = width + 256 * decimals, 0
            fields.append(Field(name.split(b"\0")[0], kind.decode("latin-1"), width, decimals, begin))
            begin += width
        return fields

    def _name(self, name: bytes) -> str:
        """The name; a letter of UTF-8 of which only a part fitted is left out."""
        if self._codec in (None, "utf-8"):
            return name.decode("utf-8", errors="ignore") or "column"
        return name.decode(str(self._codec), errors="ignore") or "column"

    def _value(self, field: Field, content: bytes) -> Any:
        if field.type == "C":
            return self._text(field, content.rstrip(b" \0"))
        text = content.strip(b" \0").decode("latin-1")
        if not text:
            return None
        if field.type in "NF":
            return None if set(text) == {"*"} else text
        if field.type == "L":
            return {"T": True, "Y": True, "F": False, "N": False, "?": None}.get(text.upper(), text)
        if field.type == "D":
            return None if text == "00000000" else text
        return None

    def _text(self, field: Field, content: bytes) -> str | None:
        if not content:
            return None
        if self._codec not in (None, "utf-8"):
            try:
                return content.decode(str(self._codec))
            except UnicodeDecodeError:
                raise RefusedError(
                    f"the text of column {self._name(field.name)!r} is not {self._codec}, as it says; give the "
                    "manifest's file the field encoding"
                ) from None
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            if self._codec and error.reason == "unexpected end of data" and len(content) == field.width:
                return content[: error.start].decode("utf-8")
            raise RefusedError(_no_encoding(self._name(field.name), self._codec)) from None


def _no_encoding(column: str, codec: str | None) -> str:
    said = "not UTF-8, as its .cpg says" if codec else "not UTF-8, and neither a .cpg nor the .dbf says its encoding"
    return f"the text of column {column!r} is {said}; give the manifest's file the field encoding"


def _distinct(names: list[str]) -> list[str]:
    taken: set[str] = set()
    made = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            candidate, number = f"{name}_{number}", number + 1
        taken.add(candidate)
        made.append(candidate)
    return made
