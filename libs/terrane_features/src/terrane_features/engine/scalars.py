"""Columns of features as the fields of a HSET: Feast's Value messages, framed as RESP's bulk strings.

A Value has one member set, or none for null (protos/feast/types/Value.proto of Feast). What stock does to a value that
is no ordinary one is done here too: a NaN and a null double are null, a null timestamp is the least int64, and a time
is cut to whole seconds downwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from terrane_features.engine import varints
from terrane_features.engine.byte_columns import by_kind, by_length, framed, joined, lengths_of, of_matrix
from terrane_features.engine.lists import LIST_MEMBERS, list_messages

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Feast's value type -> number of the Value's member.
TEXTS = {"BYTES": 1, "PDF_BYTES": 1, "IMAGE_BYTES": 1, "STRING": 2, "UUID": 36, "TIME_UUID": 37, "DECIMAL": 44}
INTEGERS = {"INT32": 3, "INT64": 4, "UNIX_TIMESTAMP": 8}
FLOATS = {"DOUBLE": (5, "<f8"), "FLOAT": (6, "<f4")}
BOOLS = {"BOOL": 7}
SUPPORTED = {*TEXTS, *INTEGERS, *FLOATS, *BOOLS, *LIST_MEMBERS}
NULL_TIME = -(1 << 63)
# A column whose first rows have few values is encoded a value at a time, and taken from a table.
SAMPLE, FEW = 2048, 256
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799


class ValueRefused(ValueError):
    """A value that Feast has no bytes for; the message names the column."""


def bulk(content: bytes) -> bytes:
    """A RESP bulk string (redis.io/docs/latest/develop/reference/protocol-spec)."""
    return b"$%d\r\n%s\r\n" % (len(content), content)


def fields(column: pa.Array, name: str, value_type: str, field: bytes) -> pa.Array:
    """The column as field and value, two bulk strings a row.

    Args:
        name: of the column, for messages.
        value_type: Feast's, one of SUPPORTED.
        field: the hash field.

    Raises ValueRefused.
    """
    lead = bulk(field)
    if value_type in FLOATS:
        return _floats(column, lead, *FLOATS[value_type])
    if value_type in BOOLS:
        return _bools(column, lead)
    if value_type in LIST_MEMBERS:
        made = _with_length(list_messages(column, name, value_type), lead)
        return _nulled(made, column, lead)
    if value_type == "UNIX_TIMESTAMP":
        return _integers(seconds(column, name), lead, INTEGERS[value_type])
    if value_type in INTEGERS:
        return _nulled(_integers(_integral(column, name, value_type), lead, INTEGERS[value_type]), column, lead)
    return _nulled(_texts(column, lead, TEXTS[value_type]), column, lead)


def seconds(column: pa.Array, name: str) -> np.ndarray:
    """Whole seconds since 1970, downwards; NULL_TIME for null. Raises ValueRefused outside the years 1 to 9999."""
    import numpy as np
    import pyarrow as pa

    microseconds = column.cast(pa.timestamp("us", getattr(column.type, "tz", None))).cast(pa.int64())
    whole = microseconds.fill_null(0).to_numpy(zero_copy_only=False) // 1_000_000
    if len(whole) and not FIRST_SECOND <= whole.min() <= whole.max() <= LAST_SECOND:
        raise ValueRefused(f"{name} holds a time outside the years 1 to 9999: correct it where the table is made")
    if column.null_count:
        whole = np.where(column.is_valid().to_numpy(zero_copy_only=False), whole, NULL_TIME)
    return whole


def _integral(column: pa.Array, name: str, value_type: str) -> np.ndarray:
    import pyarrow as pa

    try:
        column = column.cast(pa.int32() if value_type == "INT32" else pa.int64())
    except pa.ArrowInvalid as error:
        raise ValueRefused(f"{name} does not fit into {value_type}: {error}; declare it wider in feast_repo") from error
    return column.fill_null(0).cast(pa.int64()).to_numpy(zero_copy_only=False)


def _integers(numbers: np.ndarray, lead: bytes, member: int) -> pa.Array:
    import numpy as np

    tag = varints.varint(member << 3)
    if _few(numbers):
        there, index = np.unique(numbers, return_inverse=True)
        return _taken([lead + bulk(tag + varints.varint(int(n))) for n in there], index)
    bits = numbers.view(np.uint64)

    def of_width(width: int, index: Any) -> np.ndarray:
        head = lead + b"$%d\r\n" % (len(tag) + width) + tag
        return framed(head, varints.matrix(bits[index], width), b"\r\n")

    return by_kind(varints.widths(bits), of_width)


def _floats(column: pa.Array, lead: bytes, member: int, dtype: str) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    numbers = column.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        matrix = np.ascontiguousarray(numbers.astype(dtype)).view(np.uint8).reshape(len(numbers), -1)
    tag = varints.varint(member << 3 | (1 if dtype == "<f8" else 5))
    made = of_matrix(framed(lead + b"$%d\r\n" % (len(tag) + matrix.shape[1]) + tag, matrix, b"\r\n"))
    return _chosen(~np.isnan(numbers), made, lead)


def _bools(column: pa.Array, lead: bytes) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    tag = varints.varint(BOOLS["BOOL"] << 3)
    numbers = column.cast(pa.int8()).fill_null(2).to_numpy(zero_copy_only=False)
    return _taken([lead + bulk(tag + b"\0"), lead + bulk(tag + b"\1"), lead + bulk(b"")], numbers.astype(np.int64))


def _texts(column: pa.Array, lead: bytes, member: int) -> pa.Array:
    import pyarrow as pa

    column = column.cast(pa.binary())
    tag = varints.varint(member << 3 | 2)
    if len(column.slice(0, SAMPLE).unique()) < min(FEW, len(column)):
        coded = column.dictionary_encode()
        contents = coded.dictionary.to_pylist()
        table = [lead + bulk(b"" if c is None else tag + varints.varint(len(c)) + c) for c in contents]
        return pa.array([*table, lead + bulk(b"")], pa.binary()).take(coded.indices.fill_null(len(table)))

    def head(length: int) -> bytes:
        start = tag + varints.varint(length)
        return lead + b"$%d\r\n" % (len(start) + length) + start

    column = column.fill_null(b"")
    return joined(by_length(lengths_of(column), head), column, b"\r\n")


def _with_length(messages: pa.Array, lead: bytes) -> pa.Array:
    return joined(by_length(lengths_of(messages), lambda length: lead + b"$%d\r\n" % length), messages, b"\r\n")


def _few(numbers: np.ndarray) -> bool:
    import numpy as np

    return len(numbers) > FEW and len(np.unique(numbers[:SAMPLE])) < FEW and len(np.unique(numbers)) < len(numbers) // 4


def _taken(table: list[bytes], index: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(table, pa.binary()).take(pa.array(index))


def _nulled(made: pa.Array, column: pa.Array, lead: bytes) -> pa.Array:
    if not column.null_count:
        return made
    return _chosen(column.is_valid().to_numpy(zero_copy_only=False), made, lead)


def _chosen(valid: np.ndarray, made: pa.Array, lead: bytes) -> pa.Array:
    """The column, with null where it is not valid."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if valid.all():
        return made
    null = pa.scalar(lead + bulk(b""), pa.binary())
    return pc.if_else(pa.array(valid), made, null)  # pyright: ignore[reportAttributeAccessIssue]
