"""Plain values as numbers, flags and text: without Arrow, which takes longer to import than many a file to read."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# Longer ones Python does not read, and no column holds.
WHOLE = re.compile(r"\s*[+-]?\d{1,400}\s*\Z", re.ASCII)
DECIMAL = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*\Z", re.ASCII)
TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def number(text: str) -> Any:
    """The number that a text is; the text itself where it is none."""
    if WHOLE.match(text):
        return int(text)
    return float(text) if DECIMAL.match(text) else text


def as_text(value: Any) -> str | None:
    """A value as text: what is nested as JSON, in which NaN is null and bytes are in hexadecimal digits."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | dict):
        return json.dumps(_in_json(value), ensure_ascii=False)
    return repr(value) if isinstance(value, float) else str(value)


def _in_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _in_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_in_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
