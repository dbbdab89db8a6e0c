"""FlatGeobuf (flatgeobuf.org, version 3) by its bytes: a header, an index that is passed over, features one by one.

Header and features are tables of FlatBuffers (flatbuffers.dev/internals): a table names its vtable, which says where
each field lies.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from terrane_spatial.reading.child.records.table import (
    NOT_READ,
    PLAIN,
    TIMES,
    Access,
    Record,
    Table,
    UnsupportedError,
)
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.protocol import RefusedError
from terrane_spatial.wkb import COLLECTION, LINE, MULTIPOLYGON, POINT, POLYGON

MAGIC, MAGIC_BYTES = b"fgb\x03fgb", 8
NODE_BYTES, MOST_BYTES = 40, 1 << 30
# Fields of the tables by their place in the schema (header.fbs, feature.fbs).
GEOMETRY_TYPE, COLUMNS, FEATURES_COUNT, INDEX_NODE_SIZE = 2, 7, 8, 9
NAME, TYPE = 0, 1
GEOMETRY, PROPERTIES, OWN_COLUMNS = 0, 1, 2
ENDS, XY, KIND, PARTS = 0, 1, 6, 7
DEFAULT_NODE_SIZE = 16
MULTIPOINT, MULTILINE = 4, 5
BYTE_BOOL, STRING, JSON_TEXT, DATETIME, BINARY = 2, 11, 12, 13, 14
# How the values of each type of column lie in a feature.
FORMATS = {0: "<b", 1: "<B", 2: "<B", 3: "<h", 4: "<H", 5: "<i", 6: "<I", 7: "<q", 8: "<Q", 9: "<f", 10: "<d"}
SIZED = frozenset({STRING, JSON_TEXT, DATETIME, BINARY})
U32 = struct.Struct("<I")


class _Fields:
    """A table of FlatBuffers."""

    def __init__(self, content: bytes, at: int):
        self.content, self.at = content, at
        self._vtable = at - struct.unpack_from("<i", content, at)[0]
        self._size = struct.unpack_from("<H", content, self._vtable)[0]

    def place(self, number: int) -> int:
        """Where the field lies; 0 where it has none."""
        entry = 4 + 2 * number
        if entry >= self._size:
            return 0
        offset = struct.unpack_from("<H", self.content, self._vtable + entry)[0]
        return self.at + offset if offset else 0

    def number(self, number: int, kind: str, otherwise: int) -> int:
        at = self.place(number)
        return struct.unpack_from(kind, self.content, at)[0] if at else otherwise

    def vector(self, number: int) -> tuple[int, int]:
        """Where a vector's values begin, and how many there are."""
        if not (at := self.place(number)):
            return 0, 0
        at += U32.unpack_from(self.content, at)[0]
        return at + 4, U32.unpack_from(self.content, at)[0]

    def tables(self, number: int) -> list[_Fields]:
        begin, count = self.vector(number)
        if count > len(self.content):
            raise ValueError("more parts than bytes")
        places = [begin + 4 * each for each in range(count)]
        return [_Fields(self.content, at + U32.unpack_from(self.content, at)[0]) for at in places]

    def content_of(self, number: int, size: int = 1) -> bytes:
        begin, count = self.vector(number)
        if begin + count * size > len(self.content):
            raise ValueError("a vector that ends beyond its table")
        return self.content[begin : begin + count * size]


def open_flatgeobuf(source: Source) -> Table:
    """Raises RefusedError where a header or a feature is not whole."""
    with open(source.path, "rb") as opened, _Refusals("header"):
        header, first = _header(opened)
    columns = [(_text(each.content_of(NAME)), each.number(TYPE, "<B", 0)) for each in header.tables(COLUMNS)]
    names = [name for name, _ in columns]
    if len(set(names)) < len(names):
        raise UnsupportedError("it has columns of the same name")
    kind = header.number(GEOMETRY_TYPE, "<B", 0)

    def features(places: Sequence[int] | None) -> Iterator[Record]:
        """The features at those places, or all; goes through all, and counts them."""
        due = None if places is None else iter([*places, -1])
        wanted = next(due) if due else -1
        number = 0
        told = header.number(FEATURES_COUNT, "<Q", 0)
        with open(source.path, "rb") as opened, _Refusals(f"features, {told or 'it does not say how many'},"):
            end = opened.seek(0, 2)
            opened.seek(first)
            while size := _size(opened):
                if due is None or number == wanted:
                    yield _record(_whole(opened, size), columns, kind)
                    wanted = next(due) if due else -1
                elif opened.seek(size, 1) > end:
                    raise ValueError(f"feature {number + 1} goes on beyond the end")
                number += 1
        table.count = number

    texts = {name: TIMES if each == DATETIME else PLAIN for name, each in columns}
    table = Table(names, lambda: features(None), Access(at=features), texts)
    return table


class _Refusals:
    """What is not as the format has it is a refusal; any other error is this reader's own, and fails the run."""

    def __init__(self, part: str):
        self._part = part

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, _: object) -> None:
        if isinstance(error, struct.error | ValueError):
            raise RefusedError(f"its {self._part} are not as FlatGeobuf has them: {error}") from None


def _header(opened: BinaryIO) -> tuple[_Fields, int]:
    """The header, and where the first feature is."""
    if not opened.read(MAGIC_BYTES).startswith(MAGIC):
        raise UnsupportedError("it is no FlatGeobuf of version 3")
    content = _whole(opened, _size(opened))
    header = _Fields(content, U32.unpack_from(content, 0)[0])
    count = header.number(FEATURES_COUNT, "<Q", 0)
    return header, opened.tell() + _index_bytes(count, header.number(INDEX_NODE_SIZE, "<H", DEFAULT_NODE_SIZE))


def _index_bytes(features: int, node_size: int) -> int:
    """The size of a packed R-tree, level by level up to its root."""
    if not features or node_size < 2:
        return 0
    level = nodes = features
    while True:
        level = -(-level // node_size)
        nodes += level
        if level == 1:
            return nodes * NODE_BYTES


def _size(opened: BinaryIO) -> int:
    """How long what follows is; 0 at the end of the file."""
    told = opened.read(4)
    if not told:
        return 0
    (size,) = U32.unpack(told)
    if not 0 < size <= MOST_BYTES:
        raise ValueError(f"a size of {size} bytes")
    return size


def _whole(opened: BinaryIO, size: int) -> bytes:
    content = opened.read(size)
    if len(content) < size:
        raise ValueError(f"{len(content)} bytes of {size} before it ends")
    return content


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _record(content: bytes, columns: list[tuple[str, int]], kind: int) -> Record:
    feature = _Fields(content, U32.unpack_from(content, 0)[0])
    if feature.place(OWN_COLUMNS):
        raise UnsupportedError("a feature has columns of its own")
    values: list[Any] = [None] * len(columns)
    told, at = feature.content_of(PROPERTIES), 0
    while at < len(told):
        (number,) = struct.unpack_from("<H", told, at)
        if number >= len(columns):
            raise ValueError(f"a value of column {number + 1}, of {len(columns)}")
        values[number], at = _value(told, at + 2, columns[number][1])
    at = feature.place(GEOMETRY)
    if not at:
        return Record(values, None)
    return Record(values, _geometry(_Fields(content, at + U32.unpack_from(content, at)[0]), kind))


def _value(told: bytes, at: int, kind: int) -> tuple[Any, int]:
    """A value, and where the next property begins."""
    if kind in SIZED:
        begin = at + 4
        end = begin + U32.unpack_from(told, at)[0]
        if end > len(told):
            raise ValueError("a value that ends beyond its feature")
        return (told[begin:end] if kind == BINARY else _text(told[begin:end])), end
    if kind not in FORMATS:
        raise UnsupportedError(f"it has a column of type {kind}")
    (value,) = struct.unpack_from(FORMATS[kind], told, at)
    return (bool(value) if kind == BYTE_BOOL else value), at + struct.calcsize(FORMATS[kind])


def _geometry(found: _Fields, kind: int) -> bytes:
    """WKB in two dimensions; NOT_READ of what has no places, and of curves and surfaces."""
    kind = kind or found.number(KIND, "<B", 0)
    if kind in (MULTIPOLYGON, COLLECTION):
        parts = [_geometry(part, POLYGON if kind == MULTIPOLYGON else 0) for part in found.tables(PARTS)]
        return NOT_READ if NOT_READ in parts else _head(kind) + U32.pack(len(parts)) + b"".join(parts)
    places = found.content_of(XY, 8)
    points = len(places) // 16
    if not points or not POINT <= kind <= MULTILINE:
        return NOT_READ
    if kind == POINT:
        return _head(POINT) + places[:16]
    if kind == LINE:
        return _head(LINE) + U32.pack(points) + places
    if kind == MULTIPOINT:
        each = [_head(POINT) + places[at : at + 16] for at in range(0, len(places), 16)]
        return _head(kind) + U32.pack(points) + b"".join(each)
    ends = list(struct.unpack(f"<{found.vector(ENDS)[1]}I", found.content_of(ENDS, 4))) or [points]
    pieces = [places[16 * begin : 16 * end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    if ends[-1] != points or ends != sorted(ends):
        raise ValueError("ends of parts that are not in order")
    head = b"" if kind == POLYGON else _head(LINE)
    return _head(kind) + U32.pack(len(pieces)) + b"".join(head + U32.pack(len(p) // 16) + p for p in pieces)


def _head(kind: int) -> bytes:
    return struct.pack("<BI", 1, kind)
