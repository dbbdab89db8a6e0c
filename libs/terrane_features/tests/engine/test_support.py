"""What the engine leaves to Feast's own, and that it says why."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from feast import ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Array, Float64, Int64, Json, Map, Set, String, Uuid
from golden import OURS, Golden, Two, hashes, materialize, view_of

from terrane_features.engine.compute import reported

pytestmark = pytest.mark.integration
MAPPED = PostgreSQLSource(name="mapped", table="golden", timestamp_field="at", field_mapping={"y": "x"})


def left(golden: Golden, two: Two, view: Any, caplog: pytest.LogCaptureFixture) -> str:
    """The one line that says why the view is left to Feast's engine, whose hashes are stock's."""
    materialize(golden.store("local", 20), view)
    with caplog.at_level(logging.INFO, "terrane_features.engine"), reported() as reports:
        materialize(golden.store(OURS, 21), view)
    assert hashes(two[1]) == hashes(two[0]) != {}
    assert reports == []
    (line,) = [r.getMessage() for r in caplog.records if r.name == "terrane_features.engine"]
    return line


@pytest.mark.parametrize(
    ("dtype", "kind", "value", "said"),
    [
        (Float64, "numeric", "1.25", "its field x is DOUBLE from numeric"),
        (Float64, "numeric(9, 2)", "1.25", "its field x is DOUBLE from numeric"),
        (Json, "text", "'{}'", "its field x is JSON from text"),
        (Set(Int64), "int8[]", "'{1}'", "its field x is INT64_SET from _int8"),
    ],
)
def test_a_type_that_only_feast_can(
    golden: Golden, two: Two, caplog: pytest.LogCaptureFixture, dtype: Any, kind: str, value: str, said: str
) -> None:
    golden.sql(f"create table golden as select 1::int8 as id, {value}::{kind} as x, now() as at")
    line = left(golden, two, view_of("golden", {"id": ValueType.INT64}, {"x": dtype}), caplog)
    assert line == f"golden is materialised by Feast's local engine, because {said}"


def test_a_view_that_only_feast_can(golden: Golden, two: Two, caplog: pytest.LogCaptureFixture) -> None:
    golden.sql("create table golden as select 1::int8 as id, 2::int8 as y, now() as at, now() as day")
    view = view_of("golden", {"day": ValueType.UNIX_TIMESTAMP}, {"y": Int64})
    assert "because its key day is UNIX_TIMESTAMP from" in left(golden, two, view, caplog)


def test_a_source_that_maps_fields_is_written_as_feast_writes_it(golden: Golden, two: Two) -> None:
    golden.sql("create table golden as select 1::int8 as id, 2::int8 as y, now() as at")
    view = view_of(MAPPED, {"id": ValueType.INT64}, {"x": Int64})
    materialize(golden.store("local", 20), view)
    with reported() as reports:
        materialize(golden.store(OURS, 21), view)
    assert hashes(two[1]) == hashes(two[0]) != {}
    assert [(report.rows, report.written) for report in reports] == [(1, 1)]


@pytest.mark.parametrize(
    ("dtype", "value", "said"),
    [
        (Uuid, "gen_random_uuid()", "its field x is UUID from uuid"),
        (Map, '\'{"a": "b"}\'::jsonb', "its field x is MAP from jsonb"),
        (Array(Array(Int64)), "'{{1},{2}}'::int8[]", "its field x is VALUE_LIST from _int8"),
    ],
)
def test_what_neither_engine_can_fails_as_with_stock(
    golden: Golden, two: Two, caplog: pytest.LogCaptureFixture, dtype: Any, value: str, said: str
) -> None:
    golden.sql(f"create table golden as select 1::int8 as id, {value} as x, now() as at")
    view = view_of("golden", {"id": ValueType.INT64}, {"x": dtype})
    with pytest.raises(Exception, match=".") as stock:
        materialize(golden.store("local", 20), view)
    with pytest.raises(type(stock.value)) as ours:
        materialize(golden.store(OURS, 21), view)
    assert str(ours.value) == str(stock.value)
    assert f"because {said}" in caplog.text


@pytest.mark.parametrize(
    ("dtype", "kind", "value", "said"),
    [
        (Array(Int64), "int8[]", "'{1,null}'", "x has a list with a null in it, for which Feast has no integer"),
        (Int64, "int8", "1", "id is null in 1 rows: a row without its join key is nobody's"),
    ],
)
def test_a_value_without_bytes_is_refused_by_name(
    golden: Golden, two: Two, dtype: Any, kind: str, value: str, said: str
) -> None:
    key = "null" if dtype is Int64 else "1"
    golden.sql(f"create table golden as select {key}::int8 as id, {value}::{kind} as x, now() as at")
    with pytest.raises(ValueError, match=said):
        materialize(golden.store(OURS, 21), view_of("golden", {"id": ValueType.INT64}, {"x": dtype}))
    assert two[1].dbsize() == 0


def test_a_column_that_is_not_there_fails_before_anything_is_written(golden: Golden, two: Two) -> None:
    golden.sql("create table golden as select 1::int8 as id, now() as at")
    with pytest.raises(Exception, match='column "x" does not exist'):
        materialize(golden.store(OURS, 21), view_of("golden", {"id": ValueType.INT64}, {"x": String}))
    assert two[1].dbsize() == 0
