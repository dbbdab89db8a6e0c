"""Columns of byte strings."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from terrane_features.engine import byte_columns

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("most", [3, byte_columns.MOST_TABLED, byte_columns.MOST_TABLED + 1, 100_000])
def test_a_header_stands_for_each_length(most: int) -> None:
    lengths = pa.array([0, 1, most, 2, most], pa.int32())
    made = byte_columns.by_length(lengths, lambda length: b"<%d>" % length)
    assert not isinstance(made, bytes)
    assert made.to_pylist() == [b"<0>", b"<1>", b"<%d>" % most, b"<2>", b"<%d>" % most]


def test_rows_of_one_length_share_a_header() -> None:
    assert byte_columns.by_length(pa.array([7, 7], pa.int32()), lambda length: b"<%d>" % length) == b"<7>"


def test_rows_of_several_kinds_stay_in_their_order() -> None:
    kinds = np.array([2, 1, 3, 1, 2])
    made = byte_columns.by_kind(kinds, lambda kind, index: np.full((len(kinds[index]), kind), 48 + kind, np.uint8))
    assert made.to_pylist() == [b"22", b"1", b"333", b"1", b"22"]


def test_a_slice_has_its_own_bytes_alone() -> None:
    column = pa.array([b"a", b"bc", b"", b"def"], pa.binary())
    assert bytes(byte_columns.bytes_of(column.slice(1, 2))) == b"bc"
    assert bytes(byte_columns.bytes_of(column.slice(0, 0))) == b""
