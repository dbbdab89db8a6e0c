"""What counts as the same value, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from terrane_features.materialize.compare import NO_TIME, comparable, same

pytestmark = pytest.mark.unit
NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("expected", "got", "dtype"),
    [
        (5, 5, "Int64"),
        (0.1, 0.1, "Float64"),
        (3.0, 3, "Float64"),
        (0.14285715, 0.1428571492433548, "Float32"),
        (NAN, None, "Float64"),
        (NAN, "NaN", "Float64"),
        (-INF, "-Infinity", "Float64"),
        (INF, INF, "Float64"),
        (None, None, "String"),
        (None, NO_TIME, "UnixTimestamp"),
        (b"\x00\xff", "AP8=", "Bytes"),
        (b"\x00\xff", b"\x00\xff", "Bytes"),
        (NOON, 1772366400, "UnixTimestamp"),
        (NOON, NOON.replace(microsecond=0), "UnixTimestamp"),
        (NOON, "2026-03-01T12:00:00Z", "UnixTimestamp"),
        ([1, 2], [1, 2], "Array(Int64)"),
        ([b"a"], ["YQ=="], "Array(Bytes)"),
        ([NOON], [1772366400], "Array(UnixTimestamp)"),
        ([], [], "Array(String)"),
        ([3, 1, 3], {1, 3}, "Set(Int64)"),
        ([3, 1], [1, 3], "Set(Int64)"),
        ("1.50", Decimal("1.5"), "Decimal"),
        ("0190F3E2-9C1B-7A5D-8B3E-4F2A6C7D8E9F", UUID("0190f3e2-9c1b-7a5d-8b3e-4f2a6c7d8e9f"), "Uuid"),
        ('{"a": 1}', {"a": 1}, "Json"),
        ('{"a": 1}', '{"a":1}', "Json"),
    ],
)
def test_one_value_in_another_writing_is_the_same(expected, got, dtype: str) -> None:
    assert same(expected, got, dtype)


@pytest.mark.parametrize(
    ("expected", "got", "dtype"),
    [
        (5, 6, "Int64"),
        (5, None, "Int64"),
        (1, True, "Int64"),
        (0, False, "Int64"),
        (True, 1, "Bool"),
        ("5", 5, "String"),
        (0.1, 0.1000001, "Float64"),
        (0.1, None, "Float64"),
        (0.1, "NaN", "Float64"),
        (1.0, True, "Float64"),
        (1.0, 1.001, "Float32"),
        (NAN, 0.0, "Float64"),
        (INF, "-Infinity", "Float64"),
        (None, 0, "Int64"),
        (None, NO_TIME, "Int64"),
        (b"\x00", "AP8=", "Bytes"),
        (NOON, 1772366401, "UnixTimestamp"),
        (NOON, 1772366399, "UnixTimestamp"),
        (NOON, None, "UnixTimestamp"),
        (NOON, "noon", "UnixTimestamp"),
        ([1, 2], [1], "Array(Int64)"),
        ([1, 2], [2, 1], "Array(Int64)"),
        ([1], None, "Array(Int64)"),
        (None, [], "Array(Int64)"),
        ([3, 1], {3, 2}, "Set(Int64)"),
        ([3], {3, 2}, "Set(Int64)"),
        ("1.50", Decimal("1.51"), "Decimal"),
        ("not a uuid", UUID("0190f3e2-9c1b-7a5d-8b3e-4f2a6c7d8e9f"), "Uuid"),
        ('{"a": 1}', {"a": 2}, "Json"),
        ('{"a": 1}', None, "Json"),
    ],
)
def test_another_value_is_not(expected, got, dtype: str) -> None:
    assert not same(expected, got, dtype)


def test_types_whose_writing_is_not_known_are_not_compared() -> None:
    assert comparable("Array(Float32)")
    assert comparable("Set(String)")
    assert comparable("Decimal")
    assert not any(comparable(dtype) for dtype in ("Map", "Array(Map)", "Array(Array(Int64))", "Struct({'a': Int64})"))
