"""Our engine's hashes are stock's, byte for byte, for every type it takes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from feast import ValueType
from feast.types import Array, Bool, Bytes, Decimal, Float32, Float64, Int32, Int64, String, UnixTimestamp, Uuid
from golden import Golden, view_of
from redis import Redis

from terrane.postgres import PostgresResource
from terrane.testing import RedisServer

pytestmark = pytest.mark.integration
# Name, Feast's type, Postgres' type, and values as SQL: ordinary, null, and each type's edges.
COLUMNS: list[tuple[str, Any, str, list[str]]] = [
    ("b", Bool, "bool", ["true", "false", "null"]),
    ("i16", Int32, "int2", ["0", "-1", "32767", "-32768", "null"]),
    ("i32", Int32, "int4", ["0", "-1", "2147483647", "-2147483648", "300", "null"]),
    ("i64", Int64, "int8", ["0", "-1", "127", "128", "9007199254740992", "-9007199254740992", "null"]),
    ("i64_whole", Int64, "int8", ["9223372036854775807", "-9223372036854775808", "0", "-300", "16384"]),
    ("f32", Float32, "float4", ["0", "-0.0", "0.1", "'NaN'", "'Infinity'", "3.4e38", "null"]),
    ("f64", Float64, "float8", ["0", "-0.0", "0.1", "'NaN'", "'-Infinity'", "5e-324", "1.7e308", "null"]),
    ("text", String, "text", ["''", "'a'", "'Größe ☃'", "repeat('x', 130)", "repeat('y', 20000)", "null"]),
    ("varying", String, "varchar(9)", ["'nan'", "''", "'null'", "E'a\\r\\nb'"]),
    ("padded", String, "char(5)", ["'ab'", "null"]),
    ("raw", Bytes, "bytea", [r"'\x00ff0d0a'", "''", "null"]),
    ("moment", UnixTimestamp, "timestamptz", ["'2026-11-21 02:03:04.9+02'", "'1969-12-31 23:59:58.5Z'", "null"]),
    ("naive", UnixTimestamp, "timestamp", ["'2026-11-21 02:03:04.9'", "'0044-03-15'", "'1970-01-01'"]),
    ("price", Decimal, "text", ["'1.50'", "'-0.00'", "null"]),
    ("token", Uuid, "text", ["'1b4e28ba-2fa1-11d2-883f-0016d3cca427'", "null"]),
    ("bools", Array(Bool), "bool[]", ["'{t,f}'", "'{}'", "null", "'{t,null}'"]),
    ("i32s", Array(Int32), "int4[]", ["'{1,-1,300}'", "'{}'", "null", "'{2147483647}'"]),
    ("i64s", Array(Int64), "int8[]", ["'{1,-1,300}'", "'{}'", "null", "'{9223372036854775807}'"]),
    ("f32s", Array(Float32), "float4[]", ["'{0.1,-0.5}'", "'{}'", "null", "'{NaN,1}'"]),
    ("f64s", Array(Float64), "float8[]", ["'{0.1,-0.5}'", "'{}'", "null", "'{NaN,1,null}'"]),
    ("texts", Array(String), "text[]", ["'{a,\"\",Größe}'", "'{}'", "null", "'{b,null}'"]),
    ("raws", Array(Bytes), "bytea[]", [r"array['\x00ff'::bytea, '']", "'{}'", "null"]),
    ("moments", Array(UnixTimestamp), "timestamptz[]", ["'{2026-11-21 02:03:04.9+02}'", "'{}'", "null"]),
]
ROWS = 60


@pytest.fixture
def golden(make_database: Callable[..., PostgresResource], redis_server: RedisServer, tmp_path: Path) -> Golden:
    return Golden(tmp_path, make_database(), f"127.0.0.1:{redis_server.port},password={redis_server.password}")


@pytest.fixture
def two(redis_server: RedisServer) -> Iterator[tuple[Redis, Redis]]:
    """Two empty databases of Redis: stock's and ours."""
    clients = [Redis(port=redis_server.port, password=redis_server.password, db=db) for db in (20, 21)]
    yield clients[0], clients[1]
    for client in clients:
        client.flushdb()
        client.close()


def sql(golden: Golden, *statements: str) -> None:
    with golden.warehouse.connect() as connection:
        for statement in statements:
            connection.execute(statement.encode())


def table(golden: Golden, columns: list[tuple[str, Any, str, list[str]]], key: str = "id int8 primary key") -> None:
    """Rows in which the columns' values come round, each column at its own pace."""
    declared = ", ".join(f"{name} {kind}" for name, _, kind, _ in columns)
    sql(golden, f"create table golden ({key}, at timestamptz not null, {declared})")
    for row in range(ROWS):
        values = ", ".join(values[row % len(values)] for *_, values in columns)
        at = f"'2026-01-01Z'::timestamptz + {row} * interval '1.000001 s'"
        sql(golden, f"insert into golden values ({row - 7}, {at}, {values})")


@pytest.mark.parametrize("column", COLUMNS, ids=[name for name, *_ in COLUMNS])
def test_a_column_of_each_type(golden: Golden, two: tuple[Redis, Redis], column: tuple) -> None:
    table(golden, [column])
    stock, ours = golden.both(view_of("golden", {"id": ValueType.INT64}, {column[0]: column[1]}), two)
    assert len(stock) == ROWS
    assert ours == stock
