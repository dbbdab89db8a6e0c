"""Our engine's hashes are stock's, byte for byte, for every type it takes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from feast import ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import (
    Array,
    Bool,
    Bytes,
    Decimal,
    Float32,
    Float64,
    ImageBytes,
    Int32,
    Int64,
    String,
    UnixTimestamp,
    Uuid,
)
from golden import Golden, Two, named, view_of

from terrane_features.online_store.format import decode_value, entity_key, field_name

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
    ("image", ImageBytes, "bytea", [r"'\\x00ff0d0a'", "null"]),
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


MANY = 20_000
MANY_SQL = f"""
    create table golden as
    select (u * 7919 - 5000)::int8 as id, '2026-01-01Z'::timestamptz + u * interval '1003.001007 s' as at,
        (u * 104729 - 1000000)::int8 as i64, ((1::int8 << (u % 63)::int) * (1 - 2 * (u % 2)))::int8 as powers,
        (u - 9000)::int4 as i32, sqrt(u) as f64, sqrt(u)::float4 as f32, 'user ' || u as text,
        repeat('ä', (u % 300)::int) as longer, case when u % 3 = 0 then null else 'city ' || u % 7 end as city,
        sha256(u::text::bytea) as raw, '1960-01-01'::timestamp + u * interval '7777.7 s' as moment,
        case when u % 5 = 0 then null else u % 2 = 0 end as b, array[u, -u, u * u]::int8[] as i64s,
        array(select 'tag ' || t from generate_series(1, u % 4) t) as texts
    from generate_series(1::int8, {MANY}) u
"""
MANY_TYPES = {
    "i64": Int64,
    "powers": Int64,
    "i32": Int32,
    "f64": Float64,
    "f32": Float32,
    "text": String,
    "longer": String,
    "city": String,
    "raw": Bytes,
    "moment": UnixTimestamp,
    "b": Bool,
    "i64s": Array(Int64),
    "texts": Array(String),
}


def table(golden: Golden, columns: list[tuple[str, Any, str, list[str]]]) -> None:
    """Rows in which the columns' values come round, each column at its own pace."""
    declared = ", ".join(f"{name} {kind}" for name, _, kind, _ in columns)
    rows = [
        f"({row - 7}, '2026-01-01Z'::timestamptz + {row} * interval '1.000001 s', "
        + ", ".join(values[row % len(values)] for *_, values in columns)
        + ")"
        for row in range(ROWS)
    ]
    golden.sql(f"create table golden (id int8 primary key, at timestamptz not null, {declared})")
    golden.sql(*(f"insert into golden values {row}" for row in rows))


def test_every_type_with_its_edges_and_nulls(golden: Golden, two: Two) -> None:
    table(golden, COLUMNS)
    view = view_of("golden", {"id": ValueType.INT64}, {name: dtype for name, dtype, *_ in COLUMNS})
    stock, ours = golden.both(view, two)
    assert len(stock) == ROWS
    assert named(ours, view) == named(stock, view)


@pytest.mark.parametrize("overwrite", [True, False], ids=["overwrite", "newer-only"])
def test_columns_of_many_different_values(golden: Golden, two: Two, overwrite: bool) -> None:
    golden.sql(MANY_SQL)
    view = view_of("golden", {"id": ValueType.INT64}, MANY_TYPES)
    stock, ours = golden.both(view, two, skip_dedup=overwrite)
    assert len(stock) == MANY
    assert ours == stock


def test_columns_of_nulls_alone(golden: Golden, two: Two) -> None:
    kinds = [(name, dtype, kind, ["null"]) for name, dtype, kind, _ in COLUMNS]
    table(golden, kinds)
    view = view_of("golden", {"id": ValueType.INT64}, {name: dtype for name, dtype, *_ in kinds})
    stock, ours = golden.both(view, two)
    assert named(ours, view) == named(stock, view)


@pytest.mark.parametrize(
    ("keys", "columns", "values"),
    [
        ({"id": ValueType.INT64}, "id int8", "(u - 3) * 3000000000"),
        ({"id": ValueType.INT32}, "id int4", "(u - 3) * 70000"),
        ({"id": ValueType.INT32}, "id int2", "u - 3"),
        ({"id": ValueType.STRING}, "id text", "(array['', 'a', 'Größe', '{x}y', 'a*b?[c]', repeat('k', 999)])[u + 1]"),
        ({"id": ValueType.STRING}, "id varchar", "repeat('é', u::int)"),
        ({"id": ValueType.BYTES}, "id bytea", "sha256(u::text::bytea) || '\\x00'"),
        (
            {"user": ValueType.INT64, "country": ValueType.STRING, "age": ValueType.INT32},
            '"user" int8, country text, age int4',
            "u, 'land ' || repeat('x', u::int), 3 - u",
        ),
    ],
    ids=["int64", "int32", "int32 of int2", "string", "varchar", "bytes", "composite"],
)
def test_keys_of_each_type(golden: Golden, two: Two, keys: dict, columns: str, values: str) -> None:
    golden.sql(
        f"create table golden ({columns}, x int8, at timestamptz)",
        f"insert into golden select {values}, u, now() - u * interval '1 hour' from generate_series(0, 5) u",
    )
    stock, ours = golden.both(view_of("golden", keys, {"x": Int64}), two)
    assert len(stock) == 6
    assert ours == stock


@pytest.mark.parametrize("created", ["made", None])
def test_of_an_entitys_rows_the_newest_is_written(golden: Golden, two: Two, created: str | None) -> None:
    golden.sql(
        "create table golden (id int8, x int8, at timestamptz, made timestamptz)",
        """insert into golden select u % 50, u, '2026-01-01Z'::timestamptz + (u * 37 % 101) * interval '1 h',
           case when u % 3 = 0 then null else '2026-02-01Z'::timestamptz + u * interval '1 s' end
           from generate_series(1, 400) u""",
    )
    if created:
        golden.sql("update golden set at = '2026-03-01Z' where x > 200")
    stock, ours = golden.both(view_of("golden", {"id": ValueType.INT64}, {"x": Int64}, created=created or ""), two)
    assert len(stock) == 50
    assert ours == stock


def test_a_table_with_repeated_entities_is_not_taken_for_unique(golden: Golden, two: Two) -> None:
    golden.sql(
        "create table golden (id int8, other int8, x int8, at timestamptz, unique (id, other))",
        "create unique index on golden (id) where x > 5",
        "insert into golden select u % 3, u, u % 5, now() - u * interval '1 h' from generate_series(1, 9) u",
    )
    stock, ours = golden.both(view_of("golden", {"id": ValueType.INT64}, {"x": Int64}), two)
    assert ours == stock


def test_older_equal_and_newer_events_beside_what_redis_has(golden: Golden, two: Two) -> None:
    golden.sql(
        "create table golden (id int8 primary key, x int8, at timestamptz)",
        """insert into golden select u, u, '1970-01-01Z'::timestamptz + (u - 20) * interval '0.000001 s'
           from generate_series(1, 40) u""",
        """insert into golden select u, u, '2026-01-01Z'::timestamptz + u * interval '1 us'
           from generate_series(41, 90) u""",
    )
    view = view_of("golden", {"id": ValueType.INT64}, {"x": Int64})
    golden.both(view, two)
    golden.sql("update golden set x = -x, at = at + (id % 3 - 1) * interval '0.000003 s'")
    stock, ours = golden.both(view, two)
    assert ours == stock
    # The event of 1970 itself takes no bytes, one before it takes the most.
    assert {len(row[b"_ts:golden"]) for row in stock.values()} >= {0, 17}


def test_an_overwrite_takes_rows_that_are_older(golden: Golden, two: Two) -> None:
    golden.sql("create table golden as select 1::int8 as id, 1::int8 as x, '2026-01-02Z'::timestamptz as at")
    view = view_of("golden", {"id": ValueType.INT64}, {"x": Int64})
    golden.both(view, two, skip_dedup=True)
    golden.sql("update golden set x = 2, at = '2026-01-01Z'")
    before = dict(golden.both(view, two, skip_dedup=False)[1])
    stock, ours = golden.both(view, two, skip_dedup=True)
    assert ours == stock != before


def test_both_ends_of_the_window_are_in_it(golden: Golden, two: Two) -> None:
    golden.sql(
        """create table golden as select u as id, u as x, '2026-01-01Z'::timestamptz + u * interval '1 us' as at
           from generate_series(1::int8, 9) u"""
    )
    end = datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC)
    stock, ours = golden.both(view_of("golden", {"id": ValueType.INT64}, {"x": Int64}), two, end=end)
    assert ours == stock
    assert len(ours) == 5


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz"])
def test_a_session_of_another_time_zone(golden: Golden, two: Two, kind: str) -> None:
    golden.sql(
        f"alter role {golden.warehouse.user} set timezone = 'America/New_York'",
        f"create table golden as select 1::int8 as id, '2026-01-01 12:00+00'::{kind} as at, '2026-07-01'::{kind} as x",
    )
    stock, ours = golden.both(view_of("golden", {"id": ValueType.INT64}, {"x": UnixTimestamp}), two)
    assert len(ours) == 1
    assert ours == stock


def test_a_query_as_source(golden: Golden, two: Two) -> None:
    golden.sql("create table golden as select u::int8 as id, u as x, now() as at from generate_series(1::int8, 9) u")
    query = PostgreSQLSource(name="q", query="select id, x * 2 as x, at from golden", timestamp_field="at")
    stock, ours = golden.both(view_of(query, {"id": ValueType.INT64}, {"x": Int64}), two)
    assert len(ours) == 9
    assert ours == stock


def test_keys_expire_as_the_store_says(golden: Golden, two: Two) -> None:
    golden.sql("create table golden as select u::int8 as id, u as x, now() as at from generate_series(1::int8, 9) u")
    view = view_of("golden", {"id": ValueType.INT64}, {"x": Int64})
    stock, ours = golden.both(view, two, key_ttl_seconds=1000)
    assert ours == stock
    for client in two:
        assert {990 < client.ttl(key) <= 1000 for key in stock} == {True}  # pyright: ignore[reportOperatorIssue]


def test_a_large_integer_stays_itself_where_stock_rounds_it(golden: Golden, two: Two) -> None:
    """Stock's tables turn integers into floats as soon as one of a column is null: 2^53 + 1 becomes 2^53."""
    golden.sql(
        "create table golden (id int8 primary key, x int8, at timestamptz)",
        "insert into golden values (1, 9007199254740993, now()), (2, null, now())",
    )
    view = view_of("golden", {"id": ValueType.INT64}, {"x": Int64})
    stock, ours = golden.both(view, two)
    key, field = entity_key("golden", {"id": ("INT64", 1)}), field_name("golden", "x")
    assert decode_value(ours[key][field]) == 2**53 + 1
    assert decode_value(stock[key][field]) == 2**53


def test_two_views_of_one_entity_share_its_hash(golden: Golden, two: Two) -> None:
    golden.sql("create table golden as select u::int8 as id, u as x, now() as at from generate_series(1::int8, 9) u")
    for name in ("first", "second"):
        stock, ours = golden.both(view_of("golden", {"id": ValueType.INT64}, {"x": Int64}, name=name), two)
        assert ours == stock
    assert {len(row) for row in ours.values()} == {4}
