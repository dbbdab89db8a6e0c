"""Redis's answers as JSON's values: Feast's Value and Timestamp messages, decoded column by column.

What stock Feast 0.67 writes as JSON (feature_server_utils.py) is what is made here: bytes in base64, a float that is no
number as `"NaN"`, `"Infinity"` or `"-Infinity"`, times in UTC with 0, 3 or 6 decimals.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from struct import Struct, unpack
from typing import Any

from terrane_features.online_store.format import members, signed, varint

Cell = bytes | None
UNIX_TIMESTAMP = 8
# The least int64, as which Feast writes a null time.
NULL_TIME = b"\x40" + b"\x80" * 9 + b"\x01"
DOUBLE, FLOAT = 5, 6
NO_TIME = "1970-01-01T00:00:00Z"
CACHE_SIZE = 16_384
LONGEST_CACHED = 64

_TAGGED = {DOUBLE: (b"\x29", 9, Struct("<xd")), FLOAT: (b"\x35", 5, Struct("<xf"))}
_BYTES, _TEXTS = {1}, {2, 32, 36, 37, 44}
_INTEGERS, _BOOL = {3, 4, 8}, 7
_BYTES_LISTS, _TEXT_LISTS = {11, 22}, {12, 23, 33, 38, 39, 40, 41, 45, 46}
_INTEGER_LISTS, _BOOL_LISTS = {13, 14, 18, 24, 25, 29}, {17, 28}
_FLOAT_LISTS = {15: "d", 26: "d", 16: "f", 27: "f"}
_MAPS, _MAP_LISTS, _NESTED = {20, 34}, {21, 35}, {42, 43}


class LruCache(dict[Cell, Any]):
    """What a function made of bytes, looked up by the bytes: the same few values come again and again.

    Two generations: when the newer is full it becomes the older, and what is asked for again moves on.
    """

    def __init__(self, made: Callable[[bytes], Any], of_nothing: Any) -> None:
        super().__init__()
        self._made, self._of_nothing = made, of_nothing
        self._older: dict[Cell, Any] = {}
        self._begin()

    def __missing__(self, message: bytes) -> Any:
        value = self._older[message] if message in self._older else self._made(message)
        if len(message) <= LONGEST_CACHED:
            if len(self) >= CACHE_SIZE:
                self._older = dict(self)
                self.clear()
                self._begin()
            self[message] = value
        return value

    def _begin(self) -> None:
        self[None] = self[b""] = self._of_nothing


def decode(message: bytes) -> Any:
    """The JSON value of a Value message; None for null."""
    if not message:
        return None
    tag = message[0]
    if tag == 0x12 and message[1] < 0x80:
        return message[2:].decode()
    if tag in (0x18, 0x20, 0x40):
        return signed(varint(message, 1)[0])
    if tag == 0x38:
        return message[1] == 1
    number, content = members(message)[-1]
    return _member(number, content)


def decode_column(cells: Sequence[Cell], value_type: int, remembered: LruCache) -> list[Any]:
    """The JSON values of a feature's cells; a cell that Redis lacks is None, as is a null.

    Args:
        value_type: as the view declares it. A cell of another type is decoded as what it is.
    """
    if value_type in _TAGGED:
        return _floats(cells, value_type)
    return list(map(remembered.__getitem__, cells))


def timestamp_text(message: bytes) -> str:
    """A Timestamp message in RFC 3339."""
    seconds, micros = _moment(message)
    base = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if not micros:
        return f"{base}Z"
    return f"{base}.{micros:06d}Z" if micros % 1000 else f"{base}.{micros // 1000:03d}Z"


def seconds_of(message: bytes) -> float:
    """A Timestamp message as seconds since 1970."""
    seconds, micros = _moment(message)
    return seconds + micros / 1e6


def _moment(message: bytes) -> tuple[int, int]:
    parts = dict(members(message))
    micros = round(signed(parts.get(2, 0)) / 1000)
    return signed(parts.get(1, 0)) + micros // 1_000_000, micros % 1_000_000


def _floats(cells: Sequence[Cell], value_type: int) -> list[Any]:
    """Floats of a column: at once when every cell is one, else one by one."""
    tag, size, struct = _TAGGED[value_type]
    if all(cells):
        joined = b"".join(cells)  # pyright: ignore[reportArgumentType]
        if len(joined) == size * len(cells) and joined[::size] == tag * len(cells):
            values = [value for (value,) in struct.iter_unpack(joined)]
            return values if math.isfinite(sum(values)) else list(map(_json_float, values))
    alike = tag[0]
    return [
        (_json_float(struct.unpack(cell)[0]) if cell[0] == alike and len(cell) == size else decode(cell))
        if cell
        else None
        for cell in cells
    ]


def _json_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _member(number: int, content: int | bytes) -> Any:
    if isinstance(content, int):
        return bool(content) if number == _BOOL else signed(content) if number in _INTEGERS else None
    if number in _TEXTS:
        return content.decode()
    if number in _BYTES:
        return _base64(content)
    if number in _TAGGED:
        return _json_float(unpack("<d" if number == DOUBLE else "<f", content)[0])
    return _collection(number, content)


def _collection(number: int, content: bytes) -> Any:
    if number in _FLOAT_LISTS:
        kind = _FLOAT_LISTS[number]
        packed = b"".join(_messages(content))
        return [_json_float(v) for v in unpack(f"<{len(packed) // (8 if kind == 'd' else 4)}{kind}", packed)]
    if number in _INTEGER_LISTS:
        return [signed(value) for value in _integers(content)]
    if number in _BOOL_LISTS:
        return [bool(value) for value in _integers(content)]
    if number in _TEXT_LISTS:
        return [item.decode() for item in _messages(content)]
    if number in _BYTES_LISTS:
        return [_base64(item) for item in _messages(content)]
    if number in _NESTED:
        return [decode(item) for item in _messages(content)]
    if number in _MAPS:
        return _map(content)
    return [_map(item) for item in _messages(content)] if number in _MAP_LISTS else None


def _map(content: bytes) -> dict[str, Any]:
    """A map of text to Value: pairs of which either side is left out when it is empty."""
    pairs = (dict(members(pair)) for pair in _messages(content))
    return {_text(pair.get(1, b"")): decode(_content(pair.get(2, b""))) for pair in pairs}


def _messages(content: bytes) -> list[bytes]:
    return [_content(item) for number, item in members(content) if number == 1]


def _integers(content: bytes) -> list[int]:
    """A repeated integer, packed (one run of varints) or not."""
    values: list[int] = []
    for _, item in members(content):
        if isinstance(item, int):
            values.append(item)
            continue
        at = 0
        while at < len(item):
            value, at = varint(item, at)
            values.append(value)
    return values


def _content(item: int | bytes) -> bytes:
    assert isinstance(item, bytes)
    return item


def _text(item: int | bytes) -> str:
    return _content(item).decode()


def _base64(content: bytes) -> str:
    return b64encode(content).decode()
