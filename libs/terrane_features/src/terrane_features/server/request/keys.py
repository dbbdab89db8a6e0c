"""Entities' values as the types their join keys have, and the Redis commands that ask for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

from terrane_features.online_store.format import INT32, INT64, STRING, field_name, key_prefix, timestamp_field
from terrane_features.server.registry.catalog import DUMMY_KEY, View
from terrane_features.server.request.errors import wrong_value

_RANGES = {INT64: (-(1 << 63), (1 << 63) - 1), INT32: (-(1 << 31), (1 << 31) - 1)}
_NAMES = {INT64: "INT64", INT32: "INT32"}
_WHOLE = re.compile(r"\s*[+-]?\d{1,20}\s*", re.ASCII)
_INT64, _INT32 = Struct("<IIq"), Struct("<IIi")
_LENGTHS = Struct("<II")
_int64 = Struct("<q").pack


@dataclass(frozen=True)
class Commands:
    """Makes one HMGET an entity, of some features of a view and of its event's time.

    Attributes:
        keys: the request's name and the value type of each join key, in the order of the stored key.
    """

    keys: tuple[tuple[str, int], ...]
    count: bytes
    prefix: bytes
    project: bytes
    fields: bytes

    def of(self, columns: Mapping[tuple[str, int], Sequence[Any]], rows: int) -> list[bytes]:
        """The commands for the values of every key, by its name and type."""
        if len(self.keys) == 1 and self.keys[0][1] == INT64:
            # Nothing but the eight bytes of the number differs from one command to the next.
            size = len(self.prefix) + _INT64.size + len(self.project)
            before = b"%s$%d\r\n%s%s" % (self.count, size, self.prefix, _LENGTHS.pack(INT64, 8))
            after = b"%s\r\n%s" % (self.project, self.fields)
            return [before + _int64(value) + after for value in columns[self.keys[0]]]
        parts = [
            list(map(_PARTS[kind], columns[name, kind])) if name != DUMMY_KEY else [_string("")] * rows
            for name, kind in self.keys
        ]
        keys = [b"".join((self.prefix, *row, self.project)) for row in zip(*parts, strict=True)]
        return [b"%s$%d\r\n%s\r\n%s" % (self.count, len(key), key, self.fields) for key in keys]


def commands_for(project: str, view: View, requested: Mapping[str, str], features: Sequence[str]) -> Commands:
    """What asks for features of a view; `requested` is the request's name of each join key."""
    fields = [*(field_name(view.name, feature) for feature in features), timestamp_field(view.name)]
    return Commands(
        keys=tuple((requested[name], kind) for name, kind in view.join_keys),
        count=b"*%d\r\n$5\r\nHMGET\r\n" % (2 + len(fields)),
        prefix=key_prefix([name for name, _ in view.join_keys]),
        project=project.encode(),
        fields=b"".join(b"$%d\r\n%s\r\n" % (len(field), field) for field in fields),
    )


def typed(values: list[Any], kind: int, name: str) -> list[Any]:
    """Values of a join key as its type, as far as nothing is lost. Raises RequestError (400) that names the place."""
    if kind == STRING:
        if set(map(type, values)) == {str}:
            return values
        return [_text(value, position, name) for position, value in enumerate(values)]
    if kind not in _RANGES:
        return values
    if set(map(type, values)) != {int}:
        values = [_whole(value, position, name, kind) for position, value in enumerate(values)]
    lowest, highest = _RANGES[kind]
    if min(values) < lowest or max(values) > highest:
        position = next(i for i, value in enumerate(values) if not lowest <= value <= highest)
        raise wrong_value(name, position, f"the value does not fit {_NAMES[kind]}")
    return values


def _text(value: Any, position: int, name: str) -> str:
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    raise wrong_value(name, position, "the value must be a string")


def _whole(value: Any, position: int, name: str, kind: int) -> int:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is str and _WHOLE.fullmatch(value):
        return int(value)
    raise wrong_value(name, position, f"the value must be a whole number ({_NAMES[kind]})")


def _string(value: str) -> bytes:
    text = value.encode()
    return _LENGTHS.pack(STRING, len(text)) + text


_PARTS: dict[int, Callable[[Any], bytes]] = {
    STRING: _string,
    INT64: lambda value: _INT64.pack(INT64, 8, value),
    INT32: lambda value: _INT32.pack(INT32, 4, value),
}
