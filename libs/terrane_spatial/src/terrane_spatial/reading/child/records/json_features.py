"""GeoJSON (RFC 7946) and GeoJSON text sequences (RFC 8142, and a feature a line), a feature at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from terrane_spatial.reading.child.records import shapes
from terrane_spatial.reading.child.records.table import TIMES, Record, Table, UnsupportedError
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.protocol import RefusedError

CHUNK = 1 << 20
SPACE = re.compile(r"[ \t\r\n]*")
RECORD_MARK = "\x1e"
IDS = "id"
POSITION = 2
TWICE, MOST_TWICE = "members that an object has twice, of which the last is taken", 20


def open_geojson(source: Source) -> Table:
    return _opened(lambda decoder: _collection(source.path, decoder))


def open_sequence(source: Source) -> Table:
    return _opened(lambda decoder: _sequence(source.path, decoder))


def _opened(features: Callable[[json.JSONDecoder], Iterator[Any]]) -> Table:
    twice: dict[str, int] = {}

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            again = ((name, count) for name, count in Counter(name for name, _ in pairs).items() if count > 1)
            twice.update(islice(again, max(0, MOST_TWICE - len(twice))))
        return made

    def rows() -> Iterator[Record]:
        table.flattened = 0
        for record, height in _rows(features(json.JSONDecoder(object_pairs_hook=unique))):
            table.flattened += height
            yield record

    table = Table([], rows, otherwise=TIMES)
    table.facts[TWICE] = twice
    return table


def _rows(features: Iterator[Any]) -> Iterator[tuple[Record, bool]]:
    """The rows, and whether their geometries have heights."""
    for feature in features:
        if not isinstance(feature, dict) or feature.get("type") not in (
            "Feature",
            *shapes.GEOJSON_TYPES,
            "GeometryCollection",
        ):
            raise UnsupportedError("something else than features is among its features")
        if feature["type"] != "Feature":
            yield Record({}, shapes.geojson(feature)), _has_heights(feature)
            continue
        properties = feature.get("properties")
        values = dict(properties) if isinstance(properties, dict) else {}
        if "id" in feature and feature["id"] is not None:
            # RFC 7946, 3.2: a feature's own id, beside which properties may have one too.
            values = {IDS: feature["id"], **values} if IDS not in values else {**values, "feature id": feature["id"]}
        geometry = feature.get("geometry")
        yield Record(values, shapes.geojson(geometry)), _has_heights(geometry)


def _has_heights(geometry: Any) -> bool:
    """Whether its first position has more than two numbers."""
    if not isinstance(geometry, dict):
        return False
    if isinstance(parts := geometry.get("geometries"), list):
        return any(map(_has_heights, parts))
    place = geometry.get("coordinates")
    while isinstance(place, list) and place and isinstance(place[0], list):
        place = place[0]
    return isinstance(place, list) and len(place) > POSITION


def _collection(path: str, decoder: json.JSONDecoder) -> Iterator[Any]:
    """The features of a collection, whatever stands before and after them; or the one feature or geometry."""
    with _refusals(), _Text(path, decoder) as text:
        text.take("{")
        root: dict[str, Any] = {}
        if text.peek() == "}":
            raise UnsupportedError("it is an empty object")
        while True:
            key = text.value()
            text.take(":")
            if key == "features" and text.peek() == "[":
                yield from text.items()
                root[key] = None
            else:
                root[key] = text.value()
            if text.peek() != ",":
                break
            text.take(",")
        text.take("}")
        if "features" not in root:
            yield root


def _sequence(path: str, decoder: json.JSONDecoder) -> Iterator[Any]:
    """A feature a record: after a mark, or a line each."""
    with open(path, encoding="utf-8-sig", newline="\n") as opened:
        number, marked = 0, opened.read(1) == RECORD_MARK
        opened.seek(0)
        pieces = _marked(opened) if marked else opened
        for piece in pieces:
            if not piece.strip(" \t\r\n\x1e"):
                continue
            number += 1
            try:
                yield decoder.decode(piece.strip(" \t\r\n\x1e"))
            except (ValueError, RecursionError) as error:
                raise RefusedError(f"its record {number} is no JSON (RFC 7464, 2.1): {error}") from None


def _marked(opened: Any) -> Iterator[str]:
    held = ""
    while chunk := opened.read(CHUNK):
        *whole, held = (held + chunk).split(RECORD_MARK)
        yield from whole
    yield held


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise RefusedError(f"it is not UTF-8, as RFC 8259 (8.1) has JSON: byte {error.start} of a piece") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise RefusedError(f"it is no JSON (RFC 8259): {error}") from None


class _Text:
    """A JSON text that is read as far as the next value needs it."""

    def __init__(self, path: str, json_decoder: json.JSONDecoder):
        self._json = json_decoder
        self._opened = open(path, "rb")  # noqa: SIM115
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._held, self._at, self._ended = "", 0, False

    def __enter__(self) -> _Text:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def peek(self) -> str:
        """The next sign that is no space; empty at the end."""
        while True:
            self._at = SPACE.match(self._held, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._held) or self._ended:
                return self._held[self._at : self._at + 1]
            self._more()

    def take(self, sign: str) -> None:
        if self.peek() != sign:
            raise json.JSONDecodeError(f"expected {sign!r}", self._held[self._at : self._at + 20], 0)
        self._at += 1

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        wanted = CHUNK
        while True:
            try:
                made, end = self._json.raw_decode(self._held, self._at)
                # A number may go on in the next chunk.
                if end < len(self._held) or self._ended:
                    self._at = end
                    return made
            except json.JSONDecodeError:
                if self._ended:
                    raise
            self._more(wanted)
            wanted *= 2

    def items(self) -> Iterator[Any]:
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        while True:
            yield self.value()
            if self.peek() != ",":
                break
            self.take(",")
        self.take("]")

    def _more(self, size: int = CHUNK) -> None:
        chunk = self._opened.read(size)
        self._ended = not chunk
        self._held = self._held[self._at :] + self._decoder.decode(chunk, self._ended)
        self._at = 0
