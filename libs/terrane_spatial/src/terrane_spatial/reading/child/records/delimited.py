"""Delimited text (RFC 4180; IANA's text/tab-separated-values), with coordinates in columns.

shapely is imported where it is used: tables with two columns of coordinates need none of it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import Any

from terrane_spatial.reading.child.records import shapes
from terrane_spatial.reading.child.records.table import UNREADABLE, Record, Table
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.protocol import RefusedError

SEPARATORS = (",", ";", "\t", "|")
MAX_FIELD_CHARS = 1 << 30
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*\Z", re.ASCII)
WITH_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*\Z", re.ASCII)
PERHAPS_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(,\d{3})+\s*\Z", re.ASCII)
UTF_16 = (b"\xff\xfe", b"\xfe\xff")

Place = Callable[[list[str]], "bytes | None"]


def open_delimited(source: Source) -> Table:
    encoding = source.encoding or "utf-8"
    with open(source.path, "rb") as opened:
        if opened.read(2) in UTF_16:
            raise RefusedError("its text is UTF-16; CSV is taken in UTF-8, or in the encoding that the manifest gives")
    names, separator = _header(source.path, encoding)
    quoting = csv.QUOTE_MINIMAL
    if separator == "\t":
        quoting = _quoting_of_tabs(source.path, encoding, len(names))
    place, columns = _place(names, source.options)

    def rows() -> Iterator[Record]:
        commas = _Commas(columns, names)
        for line in _lines(source.path, encoding, separator, quoting, len(names)):
            commas.see(line)
            yield Record(line, place(line))
        commas.refuse()

    table = Table(names, rows)
    table.by_place = True
    return table


def _header(path: str, encoding: str) -> tuple[list[str], str]:
    with _text(path, encoding) as opened:
        first = opened.readline()
        separator = max(SEPARATORS, key=first.count)
        opened.seek(0)
        names = next(csv.reader(opened, delimiter=separator), [])
    return [name.lstrip("\ufeff") for name in names], separator


def _text(path: str, encoding: str) -> Any:
    return open(path, encoding="utf-8-sig" if encoding.lower().replace("-", "") == "utf8" else encoding, newline="")


def _quoting_of_tabs(path: str, encoding: str, columns: int) -> int:
    """How quotes are meant between tabs: RFC 4180's way; or, where that does not go, as text, which IANA's type has."""
    try:
        for _ in _lines(path, encoding, "\t", csv.QUOTE_MINIMAL, columns):
            pass
    except RefusedError:
        if _whole_without_quotes(path, encoding, columns):
            return csv.QUOTE_NONE
    return csv.QUOTE_MINIMAL


def _whole_without_quotes(path: str, encoding: str, columns: int) -> bool:
    with _text(path, encoding) as opened:
        return all(line.rstrip("\r\n").count("\t") == columns - 1 for line in opened if line.strip())


def _lines(path: str, encoding: str, separator: str, quoting: int, columns: int) -> Iterator[list[str]]:
    """The fields of every line after the first; of one that has too few, the last are empty."""
    csv.field_size_limit(MAX_FIELD_CHARS)
    number = 1
    try:
        with _text(path, encoding) as opened:
            reader = csv.reader(opened, delimiter=separator, quoting=quoting, strict=True)  # type: ignore[arg-type]
            next(reader, None)
            for line in reader:
                number = reader.line_num
                if not line:
                    continue
                if len(line) > columns and any(line[columns:]):
                    raise RefusedError(f"its line {number} has {len(line)} fields, and its first line names {columns}")
                yield line[:columns] if len(line) >= columns else line + [""] * (columns - len(line))
    except csv.Error as error:
        raise RefusedError(
            f"a quote opens a field and does not close it, after line {number} (RFC 4180, 2.5 to 2.7): {error}"
        ) from None
    except UnicodeDecodeError:
        raise RefusedError(f"its text is not {encoding}; the manifest's field encoding says what it is") from None


def _place(names: list[str], options: dict[str, str]) -> tuple[Place, tuple[int, ...]]:
    """What makes a row's geometry of its fields, and the columns of its coordinates; none for well-known text."""
    lower = [name.strip().lower() for name in names]

    def first(option: str) -> int | None:
        wanted = options.get(option, "").split(",")
        return next((lower.index(name) for name in wanted if name in lower), None)

    x, y, text = first("X_POSSIBLE_NAMES"), first("Y_POSSIBLE_NAMES"), first("GEOM_POSSIBLE_NAMES")
    if text is not None:
        return (lambda line: _of_text(line[text])), ()
    if x is None or y is None:
        raise RefusedError("it has no geometry: its first line names no columns of coordinates")
    return (lambda line: _of_numbers(line[x], line[y])), (x, y)


def _of_numbers(x: str, y: str) -> bytes | None:
    if not x.strip() and not y.strip():
        return None
    numbers = [_number(text) for text in (x, y)]
    return UNREADABLE if None in numbers else shapes.point(*numbers)  # type: ignore[arg-type]


def _number(text: str) -> float | None:
    if NUMBER.match(text):
        return float(text)
    return float(text.replace(",", ".")) if WITH_COMMA.match(text) else None


def _of_text(text: str) -> bytes | None:
    """The geometry of well-known text, which GEOS reads; PostGIS' EWKT and WKB in hexadecimal are none of RFC 4180."""
    if not text.strip():
        return None
    import shapely

    try:
        made = shapely.from_wkt(text)
        return shapely.to_wkb(shapely.force_2d(made), output_dimension=2, flavor="iso", byte_order=1)
    except (shapely.errors.GEOSException, ValueError, NotImplementedError):
        return UNREADABLE


class _Commas:
    """The commas in columns of coordinates, which may divide thousands or decimals."""

    def __init__(self, columns: tuple[int, ...], names: list[str]):
        self._undecided = dict.fromkeys(columns, "")
        self._names = names

    def see(self, line: list[str]) -> None:
        for at in tuple(self._undecided):
            if "," in (text := line[at]):
                if PERHAPS_THOUSANDS.match(text):
                    self._undecided[at] = self._undecided[at] or text
                else:
                    del self._undecided[at]

    def refuse(self) -> None:
        """Raises RefusedError where no value of a column says what its commas divide."""
        for at, text in self._undecided.items():
            if text:
                raise RefusedError(
                    f"the comma in {text!r} of column {self._names[at]!r} may divide thousands or decimals, and every "
                    "comma of the column has three digits after it; write coordinates without thousands"
                )
