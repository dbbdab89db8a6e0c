"""Rows as Redis' commands, ready for the wire: the key of each row, and HSET, HGET, EXPIRE, HEXISTS or HDEL on it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from terrane_features.engine import varints
from terrane_features.engine.byte_columns import by_kind, by_length, framed, joined, lengths_of, of_matrix
from terrane_features.engine.scalars import ValueRefused, bulk, fields
from terrane_features.online_store import format as online_format

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

KEY_TYPES = {"BYTES": 1, "STRING": 2, "INT32": 3, "INT64": 4}
FIXED_KEYS = {"INT32": 4, "INT64": 8}


@dataclass(frozen=True)
class Layout:
    """How a view's rows lie in Redis.

    Attributes:
        view: the name that is part of every field.
        keys, features: column and Feast's value type.
        ttl_s: of a whole key; None for ever.
    """

    project: str
    view: str
    keys: tuple[tuple[str, str], ...]
    features: tuple[tuple[str, str], ...]
    time: str
    ttl_s: int | None = None

    def key_column(self, batch: pa.RecordBatch) -> pa.Array:
        """Every row's key, as Feast serialises it (version 3). Raises ValueRefused."""
        parts: list[pa.Array | bytes] = [online_format.key_prefix([name for name, _ in self.keys])]
        for name, value_type in sorted(self.keys):
            parts += _key_part(batch.column(name), name, value_type)
        return joined(*parts, self.project.encode())

    def hset(self, batch: pa.RecordBatch, keys: pa.Array) -> pa.Array:
        """The commands that write the rows, and let their keys expire where the store says so. Raises ValueRefused."""
        count = 2 + 2 * (len(self.features) + 1)
        parts: list[pa.Array | bytes] = [_lead(count, b"HSET", keys), keys, b"\r\n"]
        parts.append(self._times(batch))
        for name, value_type in self.features:
            field = online_format.field_name(self.view, name)
            parts.append(fields(batch.column(name), name, value_type, field))
        if self.ttl_s:
            parts += [_lead(3, b"EXPIRE", keys), keys, b"\r\n" + bulk(b"%d" % self.ttl_s)]
        return joined(*parts)

    @property
    def replies_a_row(self) -> int:
        """To the commands of `hset`."""
        return 2 if self.ttl_s else 1

    def hget_time(self, keys: pa.Array) -> pa.Array:
        """The commands that ask for the event times that are there."""
        return self.on_fields(b"HGET", keys, [online_format.timestamp_field(self.view)])

    def has_row(self, keys: pa.Array) -> pa.Array:
        """The commands that ask whether a key has a row of the view."""
        return self.on_fields(b"HEXISTS", keys, [online_format.timestamp_field(self.view)])

    def on_fields(self, command: bytes, keys: pa.Array, names: list[bytes]) -> pa.Array:
        """A command on each key with the same fields."""
        rest = b"\r\n" + b"".join(bulk(name) for name in names)
        return joined(_lead(2 + len(names), command, keys), keys, rest)

    def event_times(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """Seconds (downwards) and nanoseconds of the rows' events. Raises ValueRefused for a null."""
        import pyarrow as pa

        column = batch.column(self.time)
        if column.null_count:
            raise ValueRefused(f"{self.time} is null in {column.null_count} rows: an event without a time has no order")
        whole = column.cast(pa.timestamp("us", getattr(column.type, "tz", None))).cast(pa.int64())
        numbers = whole.to_numpy(zero_copy_only=False)
        seconds = numbers // 1_000_000
        return seconds, (numbers - seconds * 1_000_000) * 1000

    def _times(self, batch: pa.RecordBatch) -> pa.Array:
        """Field and Timestamp message {1: seconds, 2: nanoseconds}; a member of zero is left out."""
        import numpy as np

        seconds, nanos = (part.view(np.uint64) for part in self.event_times(batch))
        lead = bulk(online_format.timestamp_field(self.view))
        wide = [np.where(part == 0, 0, varints.widths(part)) for part in (seconds, nanos)]

        def of_widths(kind: int, index: np.ndarray) -> np.ndarray:
            blocks = [
                framed(tag, varints.matrix(part[index], width))
                for tag, part, width in ((b"\x08", seconds, kind // 16), (b"\x10", nanos, kind % 16))
                if width
            ]
            rows = len(seconds[index])
            message = np.hstack(blocks) if blocks else np.empty((rows, 0), np.uint8)
            return framed(lead + b"$%d\r\n" % message.shape[1], message, b"\r\n")

        return by_kind(wide[0] * 16 + wide[1], of_widths)


def _lead(count: int, command: bytes, keys: pa.Array) -> pa.Array | bytes:
    """What comes before the key: how many parts, the command, and the key's length."""
    start = b"*%d\r\n%s" % (count, bulk(command))
    return by_length(lengths_of(keys), lambda length: start + b"$%d\r\n" % length)


def _key_part(column: pa.Array, name: str, value_type: str) -> list[pa.Array | bytes]:
    """One join key's value with its type and length before it."""
    import numpy as np
    import pyarrow as pa

    if column.null_count:
        raise ValueRefused(
            f"{name} is null in {column.null_count} rows: a row without its join key is nobody's; leave it out of the"
            " dbt model"
        )
    if size := FIXED_KEYS.get(value_type):
        try:
            column = column.cast(pa.int32() if size == 4 else pa.int64())
        except pa.ArrowInvalid as error:
            raise ValueRefused(f"{name} does not fit into {value_type}: {error}") from error
        matrix = np.ascontiguousarray(column.to_numpy(zero_copy_only=False)).view(np.uint8).reshape(len(column), size)
        return [of_matrix(framed(struct.pack("<II", KEY_TYPES[value_type], size), matrix))]
    column = column.cast(pa.binary())
    code = KEY_TYPES[value_type]
    return [by_length(lengths_of(column), lambda length: struct.pack("<II", code, length)), column]
