"""Whether two readers read the same of a row: values as Arrow has them, of whatever types each takes them for."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions at import, where a type checker does not see them.

from __future__ import annotations

import datetime as dt
import json
import math
from typing import TYPE_CHECKING, Any

from terrane_spatial.reading.texts import INTEGER, NUMBER, day, instant

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MARK = b"as"


def unlike(first: pa.Array, second: pa.Array, field: pa.Field) -> np.ndarray:
    """The places where the two differ.

    Args:
        field: of the second, whose metadata say when its values are JSON.
    """
    import numpy as np

    suspects = _suspects(first, second) if not field.metadata else np.arange(len(first))
    if not len(suspects):
        return suspects
    read = json.loads if field.metadata and MARK in field.metadata else lambda value: value
    pairs = zip(first.take(suspects).to_pylist(), second.take(suspects).to_pylist(), strict=True)
    wrong = [not same(a, None if b is None else read(b)) for a, b in pairs]
    return suspects[np.array(wrong, bool)]


def same(first: Any, second: Any) -> bool:
    """Whether one value is the other, whatever type each is of: a number of text counts where it is written as one."""
    if first is None or second is None:
        return first is None and second is None
    if type(first) is type(second):
        if isinstance(first, float):
            return first == second or (math.isnan(first) and math.isnan(second))
        return first == second or (isinstance(first, str) and _same_time(first, second))
    if isinstance(first, bool):
        return second in (int(first), str(first).lower(), str(int(first)))
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

    if first.type != second.type:
        try:
            second = second.cast(first.type, safe=True)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return np.arange(len(first))
        # Text that is cast to a number has lost how it was written.
        if not (pa.types.is_integer(first.type) or pa.types.is_floating(first.type)) or pa.types.is_null(second.type):
            return np.arange(len(first))
    try:
        equal = pc.equal(first, second)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.arange(len(first))
    both_null = pc.and_(pc.is_null(first), pc.is_null(second))
    fine = pc.or_(pc.fill_null(equal, False), both_null)
    return np.flatnonzero(~np.asarray(fine.to_numpy(zero_copy_only=False), bool))


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
