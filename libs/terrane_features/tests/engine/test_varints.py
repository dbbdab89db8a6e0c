"""Varints and times are protobuf's own."""

from __future__ import annotations

import numpy as np
import pytest
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from terrane_features.engine import varints
from terrane_features.engine.newer import newer, read_timestamps

pytestmark = pytest.mark.unit
NUMBERS = sorted({sign * (1 << bits) + d for bits in range(63) for d in (-1, 0, 1) for sign in (1, -1)} | {-(1 << 63)})


@pytest.mark.parametrize("numbers", [NUMBERS, [0], [127], [-1]])
def test_columns_of_varints_are_protobufs(numbers: list[int]) -> None:
    expected = [Value(int64_val=n).SerializeToString()[1:] for n in numbers]
    bits = np.array(numbers, np.int64).view(np.uint64)
    widths = varints.widths(bits)
    ours = [varints.matrix(bits[i : i + 1], int(width)).tobytes() for i, width in enumerate(widths)]
    assert ours == expected == [varints.varint(n) for n in numbers]


@pytest.mark.parametrize("seconds", [0, 1, -1, 127, 1_700_000_000, -62_135_596_800, 253_402_300_799])
@pytest.mark.parametrize("nanos", [0, 1000, 999_999_000, 999_999_999])
def test_a_timestamp_is_read_as_it_was_written(seconds: int, nanos: int) -> None:
    message = Timestamp(seconds=seconds, nanos=nanos).SerializeToString()
    found = read_timestamps([message, b"", message])
    assert [part.tolist() for part in found] == [[seconds, 0, seconds], [nanos, 0, nanos]]


def test_only_an_event_after_1970_that_is_no_earlier_holds_a_row_back() -> None:
    there = [
        None,
        b"",
        *(Timestamp(seconds=s, nanos=n).SerializeToString() for s, n in [(9, 0), (9, 5), (9, 6), (10, 0)]),
    ]
    there += [Timestamp(seconds=-5).SerializeToString(), Timestamp(nanos=1).SerializeToString()]
    rows = len(there)
    events = (np.full(rows, 9), np.full(rows, 5))
    assert newer(events, there).tolist() == [True, True, True, False, False, False, True, True]
    older = (np.full(rows, -9), np.full(rows, 0))
    assert newer(older, there).tolist() == [True, True, False, False, False, False, True, False]
