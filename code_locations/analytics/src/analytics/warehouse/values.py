"""Strict values: what a column's type says, or the row is refused by the column's name. No driver or server adapts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from analytics.warehouse.tables import Table
from terrane.errors import Permanent

INTEGERS = {"smallint": 15, "integer": 31, "int": 31, "bigint": 63}
FRACTION = re.compile(r"\.(\d+)")
SURROGATE = re.compile("[\ud800-\udfff]")
MICROSECOND_DIGITS = 6


@dataclass(frozen=True)
class Refused:
    """A row that is not written: the id as it came, the column, and why, without the value."""

    row_id: str
    column: str
    reason: str
    row: Mapping[str, Any]


class NotOfType(ValueError):
    """A value is not what its column's type says; the message does not hold it."""


def to_values(table: Table, row: Mapping[str, Any]) -> list[Any] | Refused:
    """The row's values in the order of the columns, or why it is refused. Raises Permanent when it lacks a column."""
    values = []
    for column in table.columns:
        if column.name not in row:
            raise Permanent(
                f"a row for {table.qualified} has no '{column.name}'; it has {', '.join(row)}. Nothing was written; "
                "where the source's form has changed, adapt the table's columns in defs.yaml"
            )
        try:
            values.append(_conversion(column.type, column.name == table.key)(row[column.name]))
        except NotOfType as error:
            return Refused(str(row.get(table.key))[:100], column.name, str(error), row)
    return values


@lru_cache(maxsize=1024)
def _conversion(kind: str, is_key: bool) -> Callable[[Any], Any]:
    """What makes values those of a type, as `bigint not null`; found once, since each value of each row asks for it."""
    kind = kind.lower()
    word, nullable = kind.partition(" ")[0], not (is_key or "not null" in kind)
    convert = next((each for name, each in CONVERSIONS.items() if kind.startswith(name)), None)
    if convert is None and word in INTEGERS:
        convert = partial(_integer, bits=INTEGERS[word])

    def converted(value: Any) -> Any:
        if value is None:
            if nullable:
                return None
            raise NotOfType("is null")
        return convert(value) if convert else value

    return converted


def parse_time(text: Any) -> tuple[datetime, int]:
    """A moment in UTC, cut to microseconds, and the digits after those as a number of picoseconds.

    Cut and not rounded, so that a moment stays in the day that it is in. Raises NotOfType for one without a zone.
    """
    if not isinstance(text, str):
        raise NotOfType(f"is {_kind(text)}, not a time")
    fraction = FRACTION.search(text)
    digits = fraction[1] if fraction else ""
    beyond, shorter = digits[MICROSECOND_DIGITS:], text
    if fraction and beyond:
        shorter = text[: fraction.start(1) + MICROSECOND_DIGITS] + text[fraction.end(1) :]
    try:
        moment = datetime.fromisoformat(shorter)
    except ValueError:
        raise NotOfType("is no time of ISO 8601") from None
    if moment.tzinfo is None:
        raise NotOfType("is a time without a zone")
    return moment.astimezone(UTC), int(beyond.ljust(MICROSECOND_DIGITS, "0")[:MICROSECOND_DIGITS]) if beyond else 0


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise NotOfType(f"is {_kind(value)}, not a text")
    if "\0" in value:
        raise NotOfType("holds a NUL, which Postgres can't keep")
    if not value.isascii() and SURROGATE.search(value):
        raise NotOfType("holds half of a surrogate pair, which is no character")
    return value


def _number(value: Any) -> float | Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise NotOfType(f"is {_kind(value)}, not a number")
    if not math.isfinite(value):
        raise NotOfType("is not finite")
    return value


def _integer(value: Any, bits: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise NotOfType(f"is {_kind(value)}, not a whole number")
    if not -(2**bits) <= value < 2**bits:
        raise NotOfType(f"is beyond {bits + 1} bits")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise NotOfType(f"is {_kind(value)}, not true or false")
    return value


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise NotOfType("is no date") from None


def _json(value: Any) -> str:
    for each in _texts_of(value):
        _text(each)
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise NotOfType("holds what is no JSON") from None


def _texts_of(value: Any) -> Iterator[str]:
    """Every text in the value, names of fields included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts_of(name)
            yield from _texts_of(inner)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for inner in value:
            yield from _texts_of(inner)


def _kind(value: Any) -> str:
    kinds: Sequence[tuple[type, str]] = (
        (bool, "true or false"),
        (str, "a text"),
        (list, "a list"),
        (dict, "an object"),
        (int, "a number"),
        (float, "a number"),
        (Decimal, "a number"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), type(value).__name__)


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "timestamptz": lambda value: parse_time(value)[0],
    "timestamp with time zone": lambda value: parse_time(value)[0],
    "date": _date,
    "double precision": _number,
    "real": _number,
    "numeric": _number,
    "boolean": _boolean,
    "json": _json,
    "text": _text,
    "varchar": _text,
}
