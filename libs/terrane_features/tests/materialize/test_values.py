"""Values that Feast has no bytes for are refused with view, column and row, before a row is written."""

from __future__ import annotations

from typing import Any

import pytest

from terrane_features.materialize.run import materialize
from terrane_features.registry.apply import register
from terrane_features.repository.table_schema import ColumnsDoNotFit

pytestmark = pytest.mark.integration
MORE = """
from feast import FeatureView, Field
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import *
from entities import user_entity

more = FeatureView(
    name="more",
    entities=[user_entity],
    schema=[Field(name="value", dtype={dtype})],
    source=PostgreSQLSource(name="more_source", table="gold.more", timestamp_field="at"),
)
"""
# Only the last row is bad: those before it fill several batches.
GOOD = "select u, now() - interval '1 hour', {good} from generate_series(1, 100) u"


def add_view(stores, dtype: str, column: str, rows: str) -> None:
    (stores.feast.folder / "more.py").write_text(MORE.format(dtype=dtype))
    stores.sql(f"create table gold.more (user_id bigint primary key, at timestamptz not null, value {column})")
    stores.sql(f"insert into gold.more {rows}")


def refusal(stores, dtype: str, column: str, good: str, change: str) -> str:
    """What a run says of a table whose row 100 was changed; nothing of it is in Redis."""
    add_view(stores, dtype, column, GOOD.format(good=good))
    stores.sql(f"update gold.more set {change} where user_id = 100")
    register(stores.feast, stores.warehouse, allow_deletions=False, run_id="r")
    with pytest.raises(ColumnsDoNotFit) as refused:
        materialize(stores.feast, stores.warehouse, "more")
    with stores.feast.online_store().client() as client:
        assert client.dbsize() == 0
    return str(refused.value)


@pytest.mark.parametrize(
    ("dtype", "column", "good", "bad", "what"),
    [
        ("Array(Int64)", "bigint[]", "array[u]", "'{1,null}'", "a list with a null"),
        ("Array(Int32)", "int[]", "array[u]", "'{null}'", "a list with a null"),
        ("Array(Int64)", "bigint[]", "array[u]", "'{{1,2},{3,4}}'", "a list of lists"),
        ("Array(String)", "text[]", "array['u']", "'{{a},{b}}'", "a list of lists"),
        ("Array(Float64)", "float8[]", "array[u]", "'{{1},{2}}'", "a list of lists"),
        ("UnixTimestamp", "timestamptz", "now()", "'infinity'", "a time outside the years 1 to 9999"),
        ("UnixTimestamp", "timestamptz", "now()", "'-infinity'", "a time outside the years 1 to 9999"),
        ("UnixTimestamp", "timestamp", "now()", "'0044-03-15 BC'", "a time outside the years 1 to 9999"),
        ("UnixTimestamp", "timestamp", "now()", "'10000-01-01'", "a time outside the years 1 to 9999"),
        ("Array(UnixTimestamp)", "timestamptz[]", "array[now()]", "'{infinity}'", "a time outside the years 1 to 9999"),
    ],
)
def test_it_is_refused_with_view_column_and_row_before_the_first_write(
    stores, dtype: str, column: str, good: str, bad: Any, what: str
) -> None:
    said = refusal(stores, dtype, column, good, f"value = {bad}")
    assert f"more ({stores.feast.repository().view('more').place})" in said
    assert f"column value of gold.more holds {what} in 1 rows (user_id 100)" in said


@pytest.mark.parametrize("moment", ["'-infinity'", "'0044-03-15 BC'"])
def test_an_event_outside_the_years_is_refused_like_any_other_time(stores, moment: str) -> None:
    said = refusal(stores, "Int64", "bigint", "u", f"at = {moment}")
    assert "column at of gold.more holds a time outside the years 1 to 9999 in 1 rows (user_id 100)" in said


def test_what_is_served_of_no_entity_stops_nothing(stores) -> None:
    """A row that a newer one took the place of, and one of the future, until its time comes."""
    (stores.feast.folder / "more.py").write_text(MORE.format(dtype="Array(Int64)"))
    stores.sql("create table gold.more (user_id bigint, at timestamptz, value bigint[])")
    stores.sql("insert into gold.more values (1, now() - interval '2 hours', '{1,null}')")
    stores.sql("insert into gold.more values (1, now() - interval '1 hour', '{7}')")
    stores.sql("insert into gold.more values (2, now() + interval '1 hour', '{{1},{2}}')")
    assert stores.run().success
    rows = stores.feast.store().get_online_features(features=["more:value"], entity_rows=[{"user_id": 1}])
    assert rows.to_dict()["value"] == [[7]]
    stores.sql("update gold.more set at = now() - interval '1 hour' where user_id = 2")
    with pytest.raises(ColumnsDoNotFit, match="holds a list of lists in 1 rows \\(user_id 2\\)"):
        materialize(stores.feast, stores.warehouse, "more")


def test_what_the_years_before_1000_and_empty_lists_hold_is_served(stores) -> None:
    add_view(stores, "UnixTimestamp", "timestamptz", "values (1, '0044-03-15Z', '0999-12-31Z'), (2, now(), null)")
    assert stores.run().success
    rows = stores.feast.store().get_online_features(features=["more:value"], entity_rows=[{"user_id": 1}])
    assert rows.to_dict()["value"][0].timestamp() == -30610310400
