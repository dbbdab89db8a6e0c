"""The bytes Feast keeps in Redis, encoded and decoded without Feast: entity keys (version 3), hash fields, values.

A row is one hash. Its key is the entity's serialised key and the project; a field is murmur3 of `view:feature`, and
`_ts:view` holds the event's time. Values are Feast's Value messages, of which exactly one member is set; none is null.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

INT32, INT64, STRING = 3, 4, 2
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = {1: False, 2: True}
_FIXED = {5: "<d", 6: "<f"}
_BOOL = 7

# Feast's value types that a join key may have: the ones it serialises.
KEY_VALUE_TYPES = frozenset({1, 2, 3, 4, 7, 8})

Value = str | int | float | bool | bytes | None


def entity_key(project: str, entity: Mapping[str, tuple[str, int | str]]) -> bytes:
    """The Redis key of an entity: join key name -> (Feast's value type, value)."""
    names = sorted(entity)
    return key_prefix(names) + b"".join(_key_value(*entity[name]) for name in names) + project.encode()


def key_prefix(names: list[str]) -> bytes:
    """What every key of an entity with these join keys begins with."""
    parts = [struct.pack("<I", len(names))]
    for name in sorted(names):
        parts.append(struct.pack("<II", STRING, len(name.encode())) + name.encode())
    return b"".join(parts)


def field_name(view: str, feature: str) -> bytes:
    """The hash field of a feature."""
    import mmh3

    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def timestamp_field(view: str) -> bytes:
    """The hash field of a view's event time."""
    return f"_ts:{view}".encode()


def decode_timestamp(message: bytes) -> datetime:
    """The time of a Timestamp message, to the microsecond."""
    parts = dict(members(message))
    return EPOCH + timedelta(seconds=signed(parts.get(1, 0)), microseconds=signed(parts.get(2, 0)) // 1000)


def decode_value(message: bytes) -> Value:
    """The scalar of a Value message; None for null. A list, a map or a set stays as its bytes."""
    for number, content in members(message):
        if number in _TEXT and isinstance(content, bytes):
            return content.decode() if _TEXT[number] else content
        if number in _FIXED and isinstance(content, bytes):
            return struct.unpack(_FIXED[number], content)[0]
        if isinstance(content, int):
            return bool(content) if number == _BOOL else signed(content)
        return message
    return None


def _key_value(value_type: str, value: int | str) -> bytes:
    if value_type == "STRING":
        text = str(value).encode()
        return struct.pack("<II", STRING, len(text)) + text
    if value_type == "INT32":
        return struct.pack("<IIi", INT32, 4, int(value))
    if value_type == "INT64":
        return struct.pack("<IIq", INT64, 8, int(value))
    raise ValueError(f"a join key of type {value_type} is not supported here; INT64, INT32 and STRING are")


def members(message: bytes) -> list[tuple[int, int | bytes]]:
    """A protobuf message's members in order: field number, and its integer or its bytes."""
    parts: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        kind = tag & 7
        if kind == 0:
            content, at = varint(message, at)
        else:
            size, at = (8, at) if kind == 1 else (4, at) if kind == 5 else varint(message, at)
            content, at = message[at : at + size], at + size
        parts.append((tag >> 3, content))
    return parts


def varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def signed(number: int | bytes) -> int:
    """A varint as the two's complement of 64 bits that protobuf means by it."""
    number = int(number)
    return number - (1 << 64) if number >= 1 << 63 else number
