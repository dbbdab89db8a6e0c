"""An asset online/<view>, on a real warehouse and a real Redis."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from terrane_features.checks.results import BLOCKING
from terrane_features.materialize.run import NotRegistered, materialize
from terrane_features.online_store.format import field_name, timestamp_field
from terrane_features.online_store.inspect import key_of

pytestmark = pytest.mark.integration
STEP = "online__user_journal_features"
KEY = dg.AssetKey(["online", "user_journal_features"])


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Those of the view that say whether what is served is right."""
    evaluations = [e for e in result.get_asset_check_evaluations() if e.asset_key == KEY]
    return {e.check_name: e.passed for e in evaluations if e.check_name in BLOCKING}


def gold(stores, *users: int) -> dict[str, list]:
    names = [feature.name for feature in stores.view.features]
    rows = stores.sql(
        f"select user_id, {', '.join(names)} from gold.user_journal_features where user_id = any(%s) order by user_id",
        [list(users)],
    )
    columns = zip(*rows, strict=True)
    return {name: list(column) for name, column in zip(["user_id", *names], columns, strict=True)}


def test_every_online_value_equals_the_sql_of_gold(stores) -> None:
    assert all(checks(stores.run()).values())
    users = range(1, stores.users + 1)
    assert stores.online(*users) == gold(stores, *users)


def test_the_run_tells_rows_keys_window_time_and_memory(stores) -> None:
    (event,) = stores.run().asset_materializations_for_node(STEP)
    got = {name: value.value for name, value in event.metadata.items()}
    assert (got["dagster/row_count"], got["keys_in_redis"], got["keys_removed"]) == (stores.users, stores.users, 0)
    assert 0 < got["seconds"] < 60
    assert got["redis_memory_bytes"] > 100_000
    assert got["window_start"] < got["newest_event"] < got["window_end"] <= datetime.now(UTC).timestamp()


def test_a_corrected_value_arrives_though_its_event_is_no_newer(stores) -> None:
    stores.run()
    stores.sql("update gold.user_journal_features set entries_total = 999 where user_id = 7")
    stores.sql("update gold.user_journal_features set event_timestamp = now() - interval '9 years' where user_id = 8")
    assert all(checks(stores.run()).values())
    assert stores.online(7)["entries_total"] == [999]
    look = stores.row(stores.view, 8)
    assert look["event_timestamp"] < datetime(2020, 1, 1, tzinfo=UTC)


def test_a_row_deleted_from_gold_is_deleted_online(stores) -> None:
    stores.run()
    stores.sql("delete from gold.user_journal_features where user_id in (3, 4)")
    (event,) = stores.run().asset_materializations_for_node(STEP)
    assert (event.metadata["keys_in_redis"].value, event.metadata["keys_removed"].value) == (stores.users - 2, 2)
    assert stores.row(stores.view, 3) is None
    with stores.feast.online_store().client() as client:
        assert client.dbsize() == stores.users - 2


def test_a_deleted_row_takes_no_other_views_row_with_it(stores) -> None:
    stores.run()
    key = key_of("terrane", stores.view, 3)
    with stores.feast.online_store().client() as client:
        client.hset(key, mapping={timestamp_field("other"): b"", field_name("other", "x"): b""})
        stores.sql("delete from gold.user_journal_features where user_id = 3")
        stores.run()
        assert set(client.hkeys(key)) == {timestamp_field("other"), field_name("other", "x")}


@pytest.mark.parametrize("condition", ["true", "user_id > 20"])
def test_a_collapsed_gold_empties_redis_only_when_somebody_says_so(stores, condition: str) -> None:
    stores.run()
    stores.sql(f"delete from gold.user_journal_features where {condition}")
    stores.sql("update gold.user_journal_features set entries_total = 999")
    with pytest.raises(dg.Failure, match=r"^Nothing was written or removed: .* allow_mass_deletion: true\.$"):
        stores.run()
    assert stores.online(7, 50)["entries_total"] == [21, 150]
    result = stores.run(allow_mass_deletion=True)
    assert all(checks(result).values())
    with stores.feast.online_store().client() as client:
        assert client.dbsize() == stores.sql("select count(*) from gold.user_journal_features")[0][0]


def test_the_values_of_a_feature_that_left_the_view_are_removed(stores) -> None:
    stores.run()
    stores.edit("user_journal.py", '        Field(name="avg_mood"', '        # Field(name="avg_mood"')
    assert stores.run().success
    key = key_of("terrane", stores.view, 3)
    with stores.feast.online_store().client() as client:
        assert not client.hexists(key, field_name("user_journal_features", "avg_mood"))
        assert client.hexists(key, field_name("user_journal_features", "avg_words"))
        assert client.hlen(key) == len(stores.view.features) + 1


def test_rows_under_other_join_keys_than_the_views_are_removed(stores) -> None:
    stores.run()
    stores.sql("alter table gold.user_journal_features rename column user_id to person")
    stores.edit("entities.py", 'join_keys=["user_id"]', 'join_keys=["person"]')
    stores.run()
    with stores.feast.online_store().client() as client:
        assert client.dbsize() == stores.users
    assert stores.row(stores.view, 7)["entries_total"] == 21


def test_a_row_that_is_committed_late_arrives(stores) -> None:
    stores.run()
    stores.sql(
        "insert into gold.user_journal_features (user_id, event_timestamp, entries_total)"
        " select 777, min(event_timestamp) - interval '1 day', 5 from gold.user_journal_features"
    )
    assert all(checks(stores.run()).values())
    assert stores.online(777)["entries_total"] == [5]


def test_an_emptied_redis_is_filled_again(stores) -> None:
    stores.run()
    with stores.feast.online_store().client() as client:
        client.flushdb()
    stores.run()
    assert stores.online(1, 2) == gold(stores, 1, 2)


def test_a_future_event_waits_and_is_counted(stores) -> None:
    stores.sql("update gold.user_journal_features set event_timestamp = now() + interval '1 day' where user_id = 5")
    result = stores.run()
    (event,) = result.asset_materializations_for_node(STEP)
    assert (event.metadata["dagster/row_count"].value, event.metadata["rows_in_the_future"].value) == (
        stores.users - 1,
        1,
    )
    assert all(checks(result).values())
    assert stores.row(stores.view, 5) is None


def test_a_view_that_was_never_applied_is_refused_with_what_to_do(stores) -> None:
    with pytest.raises(
        NotRegistered, match="user_journal_features is not in Feast's registry: materialise feast/registry"
    ):
        materialize(stores.feast, stores.warehouse, "user_journal_features")


def test_the_direct_look_decodes_what_feast_wrote(stores) -> None:
    stores.run()
    look = stores.row(stores.view, 12)
    moment = look.pop("event_timestamp")
    assert {name: [value] for name, value in look.items()} == {
        k: v for k, v in gold(stores, 12).items() if k != "user_id"
    }
    assert [(moment,)] == stores.sql("select event_timestamp from gold.user_journal_features where user_id = 12")
    assert stores.row(stores.view, 999_999) is None
