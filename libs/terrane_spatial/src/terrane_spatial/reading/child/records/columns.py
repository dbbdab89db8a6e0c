"""The types of columns of plain values, found by looking at all of them, and the values as Arrow has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from terrane_spatial.reading.child.records.plain_values import TRUTHS, as_text, number
from terrane_spatial.reading.child.records.table import DATES, FLAGS, NUMBERS, PLAIN, TIMES, TYPED
from terrane_spatial.reading.texts import INTEGER, NUMBER, day, instant

INT32, INT64, EXACT = 1 << 31, 1 << 63, 1 << 53
INTEGERS, FLOATS, BOOLEANS, TEXTS, BYTES, NESTED = "integers", "floats", "booleans", "texts", "bytes", "nested"
DAY, ZONED, LOCAL, OTHER = "day", "zoned", "local", "other"


class Column:
    """A column: what was seen in it, and of what type that makes it."""

    def __init__(self, mode: str):
        self.mode = mode
        self._kinds: set[str] = set()
        self._texts: set[str] = set()
        self._largest = 0
        self.broken: Any = None

    def see(self, value: Any) -> None:
        if value is None:
            return
        if type(value) is str and self.mode != PLAIN:
            value = self._taken(value)
            if value is None:
                return
        kind = _kind(value)
        self._kinds.add(kind)
        if kind == INTEGERS:
            self._largest = max(self._largest, abs(int(value)))
        elif kind == TEXTS and self.mode in (TIMES, DATES, TYPED):
            self._texts.add(_written(value, self.mode))
            if self.mode == DATES and OTHER in self._texts and self.broken is None:
                self.broken = value
        if kind == TEXTS and self.mode in (NUMBERS, FLAGS) and self.broken is None:
            self.broken = value

    def _taken(self, value: str) -> Any:
        """The value of a text, by how texts of this column are taken."""
        if self.mode == NUMBERS:
            return None if not value.strip() else number(value)
        if self.mode == FLAGS:
            return None if not value.strip() else TRUTHS.get(value.strip().lower(), value)
        if self.mode == TYPED:
            if INTEGER.match(value):
                return int(value)
            if NUMBER.match(value):
                return float(value)
            return TRUTHS[value] if value in ("true", "false") else value
        return value

    @property
    def why_text(self) -> str | None:
        """A value that is none of what the file declares the column to hold, and so makes text of it."""
        return self.broken if self.type() == pa.string() and self.mode not in (PLAIN, TYPED) else None

    def type(self) -> Any:
        kinds = self._kinds
        if kinds == {INTEGERS} and self.mode == FLAGS and self._largest <= 1:
            return pa.bool_()
        if kinds == {INTEGERS}:
            return pa.int32() if self._largest < INT32 else pa.int64() if self._largest < INT64 else pa.string()
        if kinds <= {INTEGERS, FLOATS} and kinds:
            return pa.float64() if self._largest <= EXACT else pa.string()
        if kinds == {BOOLEANS} or (
            kinds <= {BOOLEANS, INTEGERS} and self.mode == FLAGS and self._largest <= 1 and kinds
        ):
            return pa.bool_()
        if kinds == {BYTES}:
            return pa.binary()
        if kinds == {TEXTS}:
            return {
                frozenset({DAY}): pa.date32(),
                frozenset({ZONED}): pa.timestamp("us", "UTC"),
                frozenset({LOCAL}): pa.timestamp("us"),
            }.get(frozenset(self._texts), pa.string())
        return pa.string()

    def array(self, values: Sequence[Any], arrow: Any) -> Any:
        """The values as the column's type has them."""
        if arrow == pa.string():
            return pa.array([as_text(value) for value in values], arrow)
        if arrow in (pa.int32(), pa.int64(), pa.float64(), pa.bool_()):
            taken = [self._taken(v) if type(v) is str else v for v in values]
            if arrow == pa.bool_():
                taken = [None if v is None else bool(v) for v in taken]
            if arrow == pa.float64():
                taken = [None if v is None else float(v) for v in taken]
            return pa.array(taken, arrow)
        if arrow == pa.date32():
            return pa.array([None if v is None else day(v) for v in values], arrow)
        if pa.types.is_timestamp(arrow):
            return pa.array([None if v is None else instant(v)[0] for v in values], arrow)  # type: ignore[index]
        return pa.array(values, arrow)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return BOOLEANS
    if isinstance(value, int):
        return INTEGERS
    if isinstance(value, float):
        return FLOATS
    if isinstance(value, str):
        return TEXTS
    return BYTES if isinstance(value, bytes) else NESTED


def _written(text: str, mode: str) -> str:
    """What a text is written as: a day, a time with a zone or without, or something else."""
    # Eight digits are a day where the file says that the column holds days, and else a number.
    if day(text) is not None and (mode == DATES or not text.isdigit()):
        return DAY
    found = instant(text)
    if found is None:
        return OTHER
    return ZONED if found[0].tzinfo else LOCAL
