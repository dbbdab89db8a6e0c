"""Making a file's columns fit for Postgres: text cleaned, lists as JSON, geometry flat, and all of it counted.

numpy and pyarrow are imported where they are used: definitions import this module, and start 0.15 s sooner without
them.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions at import, where a type checker does not see them.

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from terrane_spatial.arrow_buffers import is_text
from terrane_spatial.loading.copy_format import column_type

if TYPE_CHECKING:
    import pyarrow as pa

NUL = re.compile(b"\0")


class NotUtf8Error(Exception):
    """A text column holds bytes that are not UTF-8."""

    def __init__(self, column: str):
        self.column = column
        super().__init__(column)


def plain(column: pa.Array, name: str, counts: Counter[str]) -> pa.Array:
    """The column in a type that COPY takes, with what was changed counted.

    Raises NotUtf8Error when text is not UTF-8.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as t

    if t.is_dictionary(column.type):
        column = column.dictionary_decode()
    if t.is_nested(column.type):
        _count(counts, "nested values written as JSON", len(column) - column.null_count)
        column = pa.array([None if v is None else as_json(v) for v in column.to_pylist()], pa.string())
    elif t.is_duration(column.type):
        # ISO 8601 has a text for it, and Arrow's own is a number without its unit.
        _count(counts, "durations written as ISO 8601", len(column) - column.null_count)
        column = pa.array([None if v is None else iso_duration(v) for v in column.to_pylist()], pa.string())
    elif t.is_timestamp(column.type) and column.type.unit == "ns":
        # Postgres has no more digits; whole microseconds are times 1000 and over 1000 the same.
        whole = pc.multiply(pc.divide(column.cast(pa.int64()), 1000), 1000)
        cut = pc.sum(pc.not_equal(column.cast(pa.int64()), whole)).as_py()
        _count(counts, "times cut to microseconds", cut or 0)
    elif column_type(column.type) == "text" and not is_text(column.type):
        column = pc.cast(column, pa.string())
    if is_text(column.type):
        return _clean_text(column, name, counts)
    return column


def as_json(value: Any) -> str:
    """The value as JSON, which knows no NaN, bytes or times: null, base64 (RFC 4648) and ISO 8601 stand for them."""
    return json.dumps(_in_json(value), ensure_ascii=False, allow_nan=False)


def _in_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _in_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_in_json(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.timedelta):
        return iso_duration(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int) else str(value)


def iso_duration(value: dt.timedelta) -> str:
    """The duration as ISO 8601 has it: 86405 seconds are P1DT5S."""
    sign, value = ("-", -value) if value < dt.timedelta() else ("", value)
    seconds = (
        f"{value.seconds}.{value.microseconds:06}".rstrip("0").rstrip(".") if value.microseconds else str(value.seconds)
    )
    day = f"{value.days}D" if value.days else ""
    return f"{sign}P{day}" + (f"T{seconds}S" if seconds != "0" or not day else "")


def plain_type(arrow: pa.DataType) -> str:
    """The PostgreSQL type of a column of that type once it is plain."""
    import pyarrow.types as t

    return column_type(arrow.value_type if t.is_dictionary(arrow) else arrow)


def _count(counts: Counter[str], what: str, number: int) -> None:
    if number:
        counts[what] += number


def _clean_text(column: pa.Array, name: str, counts: Counter[str]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        raise NotUtf8Error(name) from None
    with_nul = pc.sum(pc.match_substring(column, "\0")).as_py() if _has_zero_byte(column) else 0
    if with_nul:
        _count(counts, "texts with NUL bytes taken out", with_nul)
        column = pc.replace_substring(column, "\0", "")
    return column


def _has_zero_byte(column: pa.Array) -> bool:
    data = column.buffers()[2]
    return data is not None and NUL.search(memoryview(data)) is not None
