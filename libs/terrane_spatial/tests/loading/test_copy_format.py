"""Binary COPY: every value arrives as it was, to the last bit."""

from __future__ import annotations

import datetime as dt
import struct
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from terrane.postgres import PostgresResource
from terrane_spatial.loading import copy_format
from terrane_spatial.loading.column_values import NotUtf8Error, plain, plain_type

UTC = dt.UTC


def copy(postgres: PostgresResource, columns: dict[str, pa.Array]) -> list[Any]:
    """The rows as Postgres gives them back, in binary."""
    types = ", ".join(f'"{name}" {copy_format.column_type(column.type)}' for name, column in columns.items())
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    with postgres.connect() as connection, connection.cursor(binary=True) as cursor:
        cursor.execute(f"create table t (row serial, {types})".encode())
        names = ", ".join(f'"{name}"' for name in columns)
        with cursor.copy(f"copy t ({names}) from stdin (format binary)".encode()) as sink:
            sink.write(copy_format.HEADER)
            for piece in copy_format.encode(batch):
                sink.write(piece)
            sink.write(copy_format.TRAILER)
        return cursor.execute(f"select {names} from t order by row".encode()).fetchall()


def bits(value: float | None) -> bytes | None:
    return None if value is None else struct.pack(">d", value)


@pytest.mark.integration
@pytest.mark.parametrize("with_nulls", [False, True])
def test_values_of_every_type_arrive_as_they_were(make_database, with_nulls: bool) -> None:
    null = [None] if with_nulls else []
    moment = dt.datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)
    values: dict[str, tuple[list[Any], pa.DataType]] = {
        "flag": ([True, False], pa.bool_()),
        "tiny": ([-128, 127], pa.int8()),
        "small": ([-32768, 32767], pa.int16()),
        "unsigned": ([0, 4294967295], pa.uint32()),
        "whole": ([-(2**31), 2**31 - 1], pa.int32()),
        "big": ([-(2**63), 2**63 - 1], pa.int64()),
        "single": ([np.float32(0.1).item(), float("inf")], pa.float32()),
        "text": (["", "Ōsaka 大阪 🗺"], pa.string()),
        "long_text": (["x" * 100_000, "y"], pa.large_string()),
        "bytes": ([b"", b"\x00\xff"], pa.binary()),
        "moment": ([moment, dt.datetime(2024, 2, 29, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "day": ([dt.date(1, 1, 1), dt.date(9999, 12, 31)], pa.date32()),
    }
    values["local"] = ([dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1, 0, 0, 0, 1000)], pa.timestamp("ms"))
    columns = {name: pa.array(list(v) + null, t) for name, (v, t) in values.items()}
    rows = copy(make_database(), columns)
    for number, name in enumerate(columns):
        assert [row[number] for row in rows] == list(values[name][0]) + null, name


@pytest.mark.integration
def test_doubles_arrive_to_the_last_bit(make_database) -> None:
    random = np.random.default_rng(3).integers(0, 2**64, 5000, np.uint64).view(np.float64)
    doubles = [float(x) for x in random if not np.isnan(x)]
    doubles += [69.34615525302567, 0.1, 0.0, -0.0, 5e-324, -2.2250738585072009e-308, 1.7976931348623157e308]
    doubles += [float("inf"), -float("inf"), float("nan"), None]
    rows = copy(make_database(), {"x": pa.array(doubles, pa.float64()), "n": pa.array(range(len(doubles)))})
    assert [bits(x) for x, _ in rows] == [bits(x) for x in doubles]


@pytest.mark.integration
def test_a_slice_of_a_batch_is_encoded_as_the_slice_it_is(make_database) -> None:
    whole = {"t": pa.array([f"text {i}" if i % 3 else None for i in range(100)]), "n": pa.array(range(100))}
    rows = copy(make_database(), {name: column.slice(37, 20) for name, column in whole.items()})
    assert rows == [(f"text {i}" if i % 3 else None, i) for i in range(37, 57)]


@pytest.mark.integration
def test_a_batch_of_many_bytes_goes_in_pieces(make_database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_format, "MAX_STREAM_BYTES", 10_000)
    column = pa.array(["x" * 1000] * 101)
    assert len(copy_format.encode(pa.RecordBatch.from_arrays([column], ["t"]))) == 11
    assert copy(make_database(), {"t": column}) == [("x" * 1000,)] * 101


@pytest.mark.unit
def test_an_empty_batch_is_no_rows() -> None:
    assert copy_format.encode(pa.RecordBatch.from_arrays([pa.array([], pa.string())], ["t"])) == []


@pytest.mark.unit
def test_lists_categories_times_and_huge_numbers_become_text_and_lists_are_counted() -> None:
    counts: Counter[str] = Counter()
    assert plain(pa.array([[1, 2], None]), "a", counts).to_pylist() == ["[1, 2]", None]
    assert plain(pa.array(["x", "y"]).dictionary_encode(), "a", counts).to_pylist() == ["x", "y"]
    assert plain(pa.array([dt.time(1, 2, 3)]), "a", counts).to_pylist() == ["01:02:03.000000"]
    assert plain(pa.array([2**64 - 1], pa.uint64()), "a", counts).to_pylist() == [str(2**64 - 1)]
    assert plain_type(pa.dictionary(pa.int32(), pa.int64())) == "bigint"
    assert counts == {"nested values written as JSON": 1}


@pytest.mark.unit
def test_nul_bytes_are_taken_out_of_text_and_counted() -> None:
    counts: Counter[str] = Counter()
    assert plain(pa.array(["a\0b", "c", None]), "a", counts).to_pylist() == ["ab", "c", None]
    assert counts == {"texts with NUL bytes taken out": 1}


@pytest.mark.unit
def test_bytes_that_are_no_utf_8_are_not_taken_for_text() -> None:
    raw = pa.array(["Öl".encode("latin-1")], pa.binary())
    column = pa.Array.from_buffers(pa.string(), 1, raw.buffers())
    with pytest.raises(NotUtf8Error, match="name"):
        plain(column, "name", Counter())
