"""Values and times decoded from bytes are what Feast itself writes as JSON."""

from __future__ import annotations

import math
from typing import Any

import pytest
from feast.feature_server_utils import _timestamp_to_str, _value_to_native
from feast.protos.feast.types import Value_pb2 as v
from google.protobuf.timestamp_pb2 import Timestamp
from serving import values_of

from terrane_features.server.response import json_values
from terrane_features.server.response.json_values import (
    DOUBLE,
    FLOAT,
    LruCache,
    decode,
    decode_column,
    seconds_of,
    timestamp_text,
)

pytestmark = pytest.mark.unit
Value = v.Value
MORE = [
    Value(),
    Value(null_val=v.Null.NULL),
    Value(string_val="x" * 127),
    Value(string_val="x" * 128),
    Value(string_val=""),
    Value(bytes_val=b""),
    Value(int64_val=-(2**63)),
    Value(int32_val=-(2**31)),
    Value(double_val=5e-324),
    Value(double_val=-0.0),
    Value(float_val=float("nan")),
    Value(int64_list_val=v.Int64List()),
    Value(double_list_val=v.DoubleList(val=[float("inf"), 1.0])),
    Value(unix_timestamp_list_val=v.Int64List(val=[-1, 5])),
    Value(string_set_val=v.StringSet(val=["a", ""])),
    Value(bool_set_val=v.BoolSet(val=[False])),
    Value(float_set_val=v.FloatSet(val=[0.1])),
    Value(uuid_val="1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
    Value(decimal_val="1.50"),
    Value(json_list_val=v.StringList(val=["{}"])),
    Value(map_list_val=v.MapList(val=[v.Map(val={"a": Value(int64_val=1)}), v.Map()])),
    Value(struct_val=v.Map(val={"a": Value(map_val=v.Map(val={"b": Value(bool_val=True)}))})),
    Value(list_val=v.RepeatedValue(val=[Value(int64_list_val=v.Int64List(val=[1])), Value()])),
]


@pytest.mark.parametrize("message", [*values_of(7).values(), *values_of(6).values(), *MORE], ids=lambda m: str(m)[:30])
def test_a_value_is_decoded_as_feast_does(message: Any) -> None:
    assert decode(message.SerializeToString()) == _value_to_native(message)


@pytest.mark.parametrize(
    "numbers", [[1.5, -2.0], [1.5, None], [float("nan"), 1.0], [1e308, 1e308], [float("-inf")], [], [None]]
)
@pytest.mark.parametrize("kind", [DOUBLE, FLOAT])
def test_a_column_of_floats_is_decoded_as_feast_does(numbers: list[float | None], kind: int) -> None:
    def message(number: float | None) -> Any:
        if number is None:
            return Value()
        return Value(double_val=number) if kind == DOUBLE else Value(float_val=max(min(number, 3e38), -3e38))

    messages = [message(number) for number in numbers]
    cells = [one.SerializeToString() for one in messages]
    assert decode_column(cells, kind, LruCache(decode, None)) == [_value_to_native(one) for one in messages]


def test_a_column_whose_cells_are_of_another_type_than_declared_is_what_it_is() -> None:
    cells = [Value(int64_val=7).SerializeToString(), Value(double_val=0.5).SerializeToString(), None, b""]
    assert decode_column(cells, DOUBLE, LruCache(decode, None)) == [7, 0.5, None, None]
    # As long as doubles would be, and not one.
    text = Value(string_val="1234567").SerializeToString()
    assert decode_column([text, text], DOUBLE, LruCache(decode, None)) == ["1234567"] * 2


@pytest.mark.parametrize(
    "moment",
    ["2026-11-21T02:03:04Z", "2026-11-21T02:03:04.250Z", "2026-11-21T02:03:04.000001Z", "1969-12-31T23:59:59.500Z"],
)
def test_a_time_is_written_as_feast_writes_it(moment: str) -> None:
    message = Timestamp()
    message.FromJsonString(moment)
    assert timestamp_text(message.SerializeToString()) == _timestamp_to_str(message) == moment
    assert math.isclose(seconds_of(message.SerializeToString()), message.ToNanoseconds() / 1e9)


def test_what_was_decoded_is_remembered_and_in_time_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "CACHE_SIZE", 10)
    asked: list[bytes] = []

    def made(message: bytes) -> str:
        asked.append(message)
        return message.decode()

    remembered = LruCache(made, "nothing")
    assert [remembered[b"a"], remembered[b"a"], remembered[None], remembered[b""]] == ["a", "a", "nothing", "nothing"]
    assert asked == [b"a"]
    for n in range(100):
        assert remembered[b"%d" % n] == str(n)
        assert len(remembered) <= 10
    assert remembered[b"a"] == "a"
    assert asked.count(b"a") == 2
    long = b"x" * (json_values.LONGEST_CACHED + 1)
    assert (remembered[long], remembered[long], long in remembered) == (long.decode(), long.decode(), False)
