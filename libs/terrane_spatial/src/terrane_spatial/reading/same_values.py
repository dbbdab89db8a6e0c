"""Whether two readers read the same of a row: values as Arrow has them, of whatever types each takes them for.

numpy and pyarrow are imported where they are used: definitions import this module, and start 0.15 s sooner without
them.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions at import, where a type checker does not see them.

from __future__ import annotations

import datetime as dt
import json
import math
from typing import TYPE_CHECKING, Any

from terrane_spatial.arrow_buffers import array_of, true_of, valid
from terrane_spatial.reading.texts import INTEGER, NUMBER, day, instant

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def unlike(first: pa.Array, second: pa.Array, is_json: bool) -> np.ndarray:
    """The places where the two differ.

    Args:
        is_json: whether the second's texts are JSON of its values.
    """
    import numpy as np
    import pyarrow as pa

    suspects = np.arange(len(first)) if is_json else _suspects(first, second)
    if not len(suspects):
        return suspects
    read = json.loads if is_json else lambda value: value
    at = array_of(suspects.astype(np.int64), pa.int64())
    pairs = zip(first.take(at).to_pylist(), second.take(at).to_pylist(), strict=True)
    wrong = [not same(a, None if b is None else read(b)) for a, b in pairs]
    return suspects[np.array(wrong, bool)]


def same(first: Any, second: Any) -> bool:
    """Whether one value is the other, whatever type each is of: a number of text counts where it is written as one."""
    if first is None or second is None:
        return first is None and second is None
    if type(first) is type(second):
        if isinstance(first, float):
            return first == second or (math.isnan(first) and math.isnan(second))
        if isinstance(first, dict):
            return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)
        if isinstance(first, list):
            return len(first) == len(second) and all(map(same, first, second))
        return first == second or (isinstance(first, str) and _same_time(first, second))
    if isinstance(first, bool):
        return second in (int(first), str(first).lower(), str(int(first)))
    if isinstance(second, bool):
        # A number in place of a flag, as GDAL makes of a column that has both; text is as a flag is written.
        return isinstance(first, str) and _json(first) is second
    if isinstance(first, int | float) and isinstance(second, int | float):
        return first == second
    if isinstance(second, str):
        return _as_written(first, second)
    if isinstance(first, str) and isinstance(second, list | dict):
        return _json(first) == second
    if isinstance(first, str) and isinstance(second, int | float):
        return _json(first) == second
    return isinstance(first, bytes) and isinstance(second, bytes) and first == second


def _suspects(first: pa.Array, second: pa.Array) -> np.ndarray:
    """The places that may differ: what Arrow itself finds equal need not be looked at one by one."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    every = np.arange(len(first))
    try:
        first, second = _comparable(first, second)
        equal = pc.equal(first, second)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return every
    return np.flatnonzero(~(true_of(equal) | (~valid(first) & ~valid(second))))


def _comparable(first: pa.Array, second: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The two in one type in which equal means the same. Raises ArrowInvalid where there is none for all values."""
    import pyarrow as pa
    import pyarrow.types as t

    if first.type == second.type:
        return first, second
    if t.is_boolean(first.type) and t.is_integer(second.type):
        return first.cast(pa.int64()), second
    # Times are written in one way that Arrow reads, to the digit of its unit; anything else is looked at one by one.
    if (t.is_timestamp(first.type) or t.is_date(first.type)) and t.is_string(second.type):
        try:
            return first, second.cast(first.type)
        except pa.ArrowInvalid:
            # GeoPackage's times are of UTC, also where they do not say so.
            local = pa.timestamp(first.type.unit) if t.is_timestamp(first.type) else first.type
            return first.cast(local), second.cast(local)
    # Text that is cast to a number would have lost how it was written.
    if (t.is_integer(first.type) or t.is_floating(first.type)) and (
        t.is_integer(second.type) or t.is_floating(second.type)
    ):
        return first, second.cast(first.type, safe=True)
    raise pa.ArrowInvalid("of other types")


def _as_written(first: Any, second: str) -> bool:
    if isinstance(first, dt.datetime):
        found = instant(second)
        if found is None:
            midnight = day(second)
            return midnight is not None and first.replace(tzinfo=None) == dt.datetime.combine(midnight, dt.time())
        return not found[1] and found[0].replace(tzinfo=None) == first.replace(tzinfo=None)
    if isinstance(first, dt.date):
        return day(second) == first
    if isinstance(first, dt.time):
        return first.isoformat() == second
    if isinstance(first, int):
        return bool(INTEGER.match(second)) and int(second) == first
    if isinstance(first, float):
        return bool(NUMBER.match(second)) and float(second) == first
    if isinstance(first, list | dict):
        return _json(second) == first
    return False


def _same_time(first: str, second: str) -> bool:
    """Whether both are a time, and the same."""
    a, b = instant(first), instant(second)
    return a is not None and a == b


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
