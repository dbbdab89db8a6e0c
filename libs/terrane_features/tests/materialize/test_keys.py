"""What a run removes: the rows that it wrote before and that the table has no longer, and nothing of anybody else."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from terrane_features.online_store.written import Written
from terrane_features.registry.state import only_writer, view_writer

pytestmark = pytest.mark.integration
STEP = "online__user_journal_features"


def dump(stores) -> dict[bytes, dict[bytes, bytes]]:
    with stores.feast.online_store().client() as client:
        return {key: client.hgetall(key) for key in client.keys("*")}


def removed(result) -> int:
    (event,) = result.asset_materializations_for_node(STEP)
    return event.metadata["keys_removed"].value


def scans(stores) -> int:
    with stores.feast.online_store().client() as client:
        return client.info("commandstats").get("cmdstat_scan", {}).get("calls", 0)


def test_another_project_in_the_same_redis_keeps_its_rows(stores) -> None:
    stores.edit("feature_store.yaml", "project: terrane", "project: nonprod")
    stores.run()
    theirs = dump(stores)
    stores.edit("feature_store.yaml", "project: nonprod", "project: prod")
    stores.sql("update gold.user_journal_features set user_id = user_id + 1000")
    assert removed(stores.run()) == 0
    stores.sql("delete from gold.user_journal_features where user_id < 1010")
    assert removed(stores.run()) == 9
    now = dump(stores)
    assert len(theirs) == stores.users
    assert {key: now.get(key) for key in theirs} == theirs


def test_an_entity_whose_newest_event_lies_ahead_stays_online(stores) -> None:
    stores.run()
    stores.sql("update gold.user_journal_features set event_timestamp = now() + interval '1 minute' where user_id = 7")
    assert removed(stores.run()) == 0
    assert stores.online(7)["entries_total"] == [21]


def test_rows_to_remove_are_found_without_a_look_at_every_key(stores) -> None:
    stores.run()
    before = scans(stores)
    stores.sql("delete from gold.user_journal_features where user_id = 7")
    assert removed(stores.run()) == 1
    assert removed(stores.run()) == 0
    assert scans(stores) == before
    assert stores.row(stores.view, 7) is None


def test_rows_that_somebody_wrote_by_hand_are_found_too(stores) -> None:
    stores.run()
    insert = "insert into gold.user_journal_features (user_id, event_timestamp) values (777, now() - interval '1 hour')"
    stores.sql(insert)
    end = datetime.now(UTC) + timedelta(seconds=1)
    stores.feast.store().materialize(end - timedelta(days=1), end, feature_views=["user_journal_features"])
    assert stores.row(stores.view, 777) is not None
    stores.sql("delete from gold.user_journal_features where user_id = 777")
    assert removed(stores.run()) == 1
    assert stores.row(stores.view, 777) is None


def test_exactly_half_of_the_entities_may_go_and_one_more_may_not(stores) -> None:
    stores.run()
    half = stores.users // 2
    stores.sql(f"delete from gold.user_journal_features where user_id <= {half}")
    assert removed(stores.run()) == half
    stores.sql(f"delete from gold.user_journal_features where user_id <= {half + half // 2 + 1}")
    assert not stores.run(raise_on_error=False).success
    assert len(dump(stores)) == half


def test_after_a_run_that_died_both_its_rows_and_those_before_are_known(stores, monkeypatch) -> None:
    stores.run()
    stores.sql("update gold.user_journal_features set user_id = 500 where user_id = 1")

    def dies(*_: object) -> None:
        raise MemoryError("killed")

    with monkeypatch.context() as broken:
        broken.setattr("terrane_features.online_store.rows.count_present", dies)
        broken.setattr("terrane_features.online_store.rows.remove_rows", dies)
        assert not stores.run(raise_on_error=False).success
    assert stores.row(stores.view, 500) is not None
    stores.sql("update gold.user_journal_features set user_id = 501 where user_id = 500")
    assert removed(stores.run()) == 2
    assert {user for user in (1, 500, 501) if stores.row(stores.view, user)} == {501}


def test_fields_are_remembered_before_they_are_written(stores, monkeypatch) -> None:
    seen: list[list[Written]] = []

    def look(*_: object) -> None:
        rows = stores.sql("select view, join_keys, fields from feast.online_views")
        seen.append([Written(view, tuple(keys), tuple(fields)) for view, keys, fields in rows])
        raise MemoryError("killed")

    monkeypatch.setattr("terrane_features.materialize.run._write", look)
    assert not stores.run(raise_on_error=False).success
    assert [(w.view, set(w.fields)) for w in seen[0]] == [
        ("user_journal_features", {feature.name for feature in stores.view.features})
    ]


def test_writers_of_different_views_do_not_wait_for_each_other_and_an_apply_waits_for_all(stores) -> None:
    order: list[str] = []

    def apply() -> None:
        with only_writer(stores.warehouse, "terrane"):
            order.append("apply")

    with view_writer(stores.warehouse, "terrane", "a"), view_writer(stores.warehouse, "terrane", "b"):
        applying = threading.Thread(target=apply)
        applying.start()
        applying.join(0.5)
        order.append("views")
    applying.join(10)
    assert order == ["views", "apply"]
