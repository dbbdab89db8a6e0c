"""Whether a value that was read online is the one in the table, whatever the reader's way of writing it.

Feast keeps whole seconds of a time, NaN as null, and null of a time as the smallest integer; JSON has no NaN, no
infinities and no bytes, which are written `"NaN"`, `"Infinity"` and in base64.
"""

from __future__ import annotations

import base64
import json
import math
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

NO_TIME = -(2**63)
# Of a value that was rounded to four bytes.
FLOAT32 = 1e-6
PLAIN = {"Bool", "Bytes", "Float32", "Float64", "ImageBytes", "Int32", "Int64", "PdfBytes", "String", "UnixTimestamp"}
# Kept online as the text they are in the table, and read as what the text means.
MEANT = {"Decimal": Decimal, "Json": json.loads, "TimeUuid": uuid.UUID, "Uuid": uuid.UUID}
LISTS = ("Array(", "Set(")
# What a null in a list is written as, in the ways that readers have of it.
NULL_ITEMS: dict[str, tuple[Any, ...]] = {
    "Bool": (False,),
    "Bytes": (b"", ""),
    "Float32": (None,),
    "Float64": (None,),
    "String": ("",),
    "UnixTimestamp": (NO_TIME, None),
}


def comparable(dtype: str) -> bool:
    """Whether values of Feast's type, as a definition names it, can be told to be the same."""
    inner = dtype.split("(", 1)[1][:-1] if dtype.startswith(LISTS) else dtype
    return inner in PLAIN or dtype in MEANT


def same(expected: Any, got: Any, dtype: str) -> bool:
    """Compares gold's value, as psycopg has it, with what a client of Feast or the feature server answered."""
    if dtype.startswith(LISTS) and isinstance(expected, list):
        return _same_list(expected, got, dtype)
    if expected is None:
        return got is None or (dtype == "UnixTimestamp" and _seconds(got) == NO_TIME)
    if dtype in MEANT and isinstance(expected, str):
        return _meant(expected, dtype) == _meant(got, dtype)
    if isinstance(expected, datetime):
        return _seconds(got) is not None and 0 <= expected.timestamp() - (_seconds(got) or 0) < 1
    if isinstance(expected, float):
        return _same_number(expected, got, dtype)
    if isinstance(expected, bytes) and isinstance(got, str):
        return got == base64.b64encode(expected).decode()
    return type(expected) is type(got) and expected == got


def _same_list(expected: list[Any], got: Any, dtype: str) -> bool:
    """In order; a set's values in any, each of them once."""
    kind, inner = dtype[:-1].split("(", 1)
    if not isinstance(got, list | tuple | set | frozenset):
        return False
    if kind == "Set":
        return all(any(same(e, g, inner) for g in got) for e in expected) and len(got) <= len(expected)
    return len(got) == len(expected) and all(_same_item(e, g, inner) for e, g in zip(expected, got, strict=True))


def _same_item(expected: Any, got: Any, dtype: str) -> bool:
    """A value inside a list: Feast has no null there, and cuts a time towards 1970."""
    if expected is None and dtype in NULL_ITEMS:
        return got in NULL_ITEMS[dtype] or (dtype.startswith("Float") and _same_number(math.nan, got, dtype))
    if isinstance(expected, datetime):
        return _seconds(got) == math.trunc(expected.timestamp())
    return same(expected, got, dtype)


def _meant(value: Any, dtype: str) -> Any:
    """What a text says; a text that says nothing, and whatever is no text, is itself."""
    if not isinstance(value, str):
        return value
    try:
        return MEANT[dtype](value)
    except (ValueError, ArithmeticError):
        return value


def _same_number(expected: float, got: Any, dtype: str) -> bool:
    if got in ("NaN", "Infinity", "-Infinity"):
        got = float(got)
    if math.isnan(expected):
        return got is None or (isinstance(got, float) and math.isnan(got))
    if isinstance(got, bool) or not isinstance(got, int | float):
        return False
    return math.isclose(expected, got, rel_tol=FLOAT32) if dtype == "Float32" else expected == got


def _seconds(moment: Any) -> float | None:
    """A time as a reader has it, in seconds since 1970."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if isinstance(moment, datetime):
        return moment.timestamp()
    return moment if isinstance(moment, int | float) and not isinstance(moment, bool) else None
