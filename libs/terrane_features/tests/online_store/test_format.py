"""The bytes we encode and decode are Feast's own."""

from __future__ import annotations

import pytest
from feast.infra.online_stores.helpers import _mmh3, _redis_key, _redis_key_prefix
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Int64List, Value
from google.protobuf.timestamp_pb2 import Timestamp

from terrane_features.online_store import format as online_format

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("user", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_a_key_of_one_integer_is_feasts(user: int) -> None:
    expected = _redis_key("terrane", EntityKey(join_keys=["user_id"], entity_values=[Value(int64_val=user)]))
    assert online_format.entity_key("terrane", {"user_id": ("INT64", user)}) == expected


def test_a_key_of_several_parts_is_feasts_whatever_their_order() -> None:
    proto = EntityKey(
        join_keys=["user", "country", "age"],
        entity_values=[Value(int64_val=7), Value(string_val="Côte d'Ivoire"), Value(int32_val=-3)],
    )
    ours = {"user": ("INT64", 7), "country": ("STRING", "Côte d'Ivoire"), "age": ("INT32", -3)}
    assert online_format.entity_key("p", ours) == _redis_key("p", proto)
    assert online_format.key_prefix(list(ours)) == _redis_key_prefix(list(ours))


def test_a_key_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="BYTES is not supported here; INT64, INT32 and STRING are"):
        online_format.entity_key("p", {"x": ("BYTES", "")})


@pytest.mark.parametrize("feature", ["entries_total", "größe", ""])
def test_a_field_is_feasts_hash(feature: str) -> None:
    assert online_format.field_name("view", feature) == _mmh3(f"view:{feature}")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Value(), None),
        (Value(int64_val=0), 0),
        (Value(int64_val=-(2**63)), -(2**63)),
        (Value(int32_val=-5), -5),
        (Value(double_val=1 / 3), 1 / 3),
        (Value(float_val=0.5), 0.5),
        (Value(bool_val=False), False),
        (Value(bool_val=True), True),
        (Value(string_val=""), ""),
        (Value(string_val="Größe" * 100), "Größe" * 100),
        (Value(bytes_val=b"\0\xff"), b"\0\xff"),
        (Value(unix_timestamp_val=1_700_000_000), 1_700_000_000),
    ],
)
def test_a_value_comes_back_with_its_type(message: Value, expected: object) -> None:
    got = online_format.decode_value(message.SerializeToString())
    assert (got, type(got)) == (expected, type(expected))


def test_a_list_stays_as_its_bytes() -> None:
    message = Value(int64_list_val=Int64List(val=[1, 2])).SerializeToString()
    assert online_format.decode_value(message) == message


@pytest.mark.parametrize(
    "moment", ["2026-11-21T02:03:04.567891Z", "1969-12-31T23:59:59.250000Z", "1970-01-01T00:00:00Z"]
)
def test_a_time_comes_back_to_the_microsecond(moment: str) -> None:
    message = Timestamp()
    message.FromJsonString(moment)
    decoded = online_format.decode_timestamp(message.SerializeToString())
    assert decoded == message.ToDatetime(decoded.tzinfo)
