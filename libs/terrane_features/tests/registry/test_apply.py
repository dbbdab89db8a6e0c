"""The asset feast/registry, on a real warehouse."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import pytest

from terrane_features.registry import state
from terrane_features.registry.apply import register
from terrane_features.registry.plan import DeletionRefused
from terrane_features.registry.state import RegistryBusy, only_writer, registered_views
from terrane_features.repository.model import RepositoryError
from terrane_features.repository.table_schema import ColumnsDoNotFit
from terrane_features.resources import FeastResource

pytestmark = pytest.mark.integration
SECOND_VIEW = """
from datetime import timedelta

from entities import user_entity
from feast import FeatureView, Field
from feast.types import Int64
from user_journal import user_journal_source

second = FeatureView(
    name="second",
    entities=[user_entity],
    ttl=timedelta(days=1),
    schema=[Field(name="entries_total", dtype=Int64)],
    source=user_journal_source,
)
"""


def apply(stores, **options) -> list[str] | None:
    """The changes of an apply; None when there was nothing to apply."""
    outcome = register(stores.feast, stores.warehouse, run_id="test", **{"allow_deletions": False, **options})
    return [str(change) for change in outcome.changes] if outcome.applied else None


def views(stores) -> set[str]:
    with stores.warehouse.connect() as connection:
        return registered_views(connection, "terrane")


def digests(stores) -> list[tuple]:
    return stores.sql("select project, digest, run_id from feast.applied_definitions")


def test_the_first_apply_creates_all_that_is_declared_and_remembers_the_digest(stores) -> None:
    changes = apply(stores)
    assert changes is not None
    for created in ("entity user_entity", "feature view user_journal_features", "feature service analyzer"):
        assert f"create {created}" in changes
    assert views(stores) == {"user_journal_features"}
    assert digests(stores) == [("terrane", stores.feast.repository().digest, "test")]


def test_the_same_definitions_are_not_applied_again(stores) -> None:
    apply(stores)
    before = stores.sql("select last_updated_timestamp, feature_view_proto from feast.feature_views")
    assert apply(stores) is None
    assert stores.sql("select last_updated_timestamp, feature_view_proto from feast.feature_views") == before


def test_a_run_with_nothing_to_apply_imports_no_feast(stores) -> None:
    code = """
import sys
from terrane_features.resources import FeastResource
from terrane_features.registry.apply import register
from terrane.postgres import PostgresResource
warehouse = PostgresResource.from_process("WAREHOUSE")
done = register(FeastResource(repo_path=sys.argv[1]), warehouse, allow_deletions=True, run_id="again")
print(done.applied, "feast" in sys.modules)
"""
    apply(stores)
    command = [sys.executable, "-c", code, str(stores.feast.folder)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["False", "False"]


def test_a_registry_that_lost_a_view_is_applied_again_though_the_digest_is_the_same(stores) -> None:
    apply(stores)
    stores.feast.store().delete_feature_view("user_journal_features")
    assert views(stores) == set()
    assert apply(stores) == ["create feature view user_journal_features"]
    assert views(stores) == {"user_journal_features"}


def test_a_changed_definition_is_planned_as_an_update_of_what_changed(stores) -> None:
    apply(stores)
    stores.sql("alter table gold.user_journal_features add column mood float8")
    stores.edit("user_journal.py", 'name="avg_mood", dtype=Float64', 'name="mood", dtype=Float64')
    stores.edit(
        "user_journal.py",
        'name="avg_words", dtype=Float64, description="Words',
        'name="avg_words", dtype=Float64, description="All words',
    )
    stores.edit("user_journal.py", "ttl=timedelta(days=3650)", "ttl=timedelta(days=1)")
    changes = apply(stores)
    assert changes is not None
    (update,) = [change for change in changes if change.startswith("update feature view")]
    assert update == (
        "update feature view user_journal_features"
        " (features -avg_mood +mood ~avg_words, ttl (seconds: 315360000 -> seconds: 86400))"
    )


def test_a_plan_names_no_definition_that_stays_as_it_is(stores) -> None:
    stores.run()
    stores.edit("user_journal.py", "from datetime import timedelta\n", "from datetime import timedelta\n\n")
    assert apply(stores) == []
    assert stores.feast.store().get_feature_view("user_journal_features").materialization_intervals


def test_a_new_file_with_a_view_needs_no_python_here(stores) -> None:
    apply(stores)
    (stores.feast.folder / "second.py").write_text(SECOND_VIEW)
    assert apply(stores) == ["create feature view second"]
    assert views(stores) == {"second", "user_journal_features"}


def test_a_deletion_is_refused_by_name_and_done_when_it_is_allowed(stores) -> None:
    second = stores.feast.folder / "second.py"
    second.write_text(SECOND_VIEW)
    apply(stores)
    applied = digests(stores)
    second.unlink()
    with pytest.raises(DeletionRefused, match=r"feature view second, .*allow_deletions: true"):
        apply(stores)
    assert (views(stores), digests(stores)) == ({"second", "user_journal_features"}, applied)
    assert apply(stores, allow_deletions=True) == ["delete feature view second"]
    assert views(stores) == {"user_journal_features"}


def test_the_values_of_a_deleted_view_go_with_it_and_those_of_others_stay(stores) -> None:
    second = stores.feast.folder / "second.py"
    second.write_text(SECOND_VIEW)
    stores.run()
    stores.sql("insert into gold.user_journal_features (user_id, event_timestamp) values (900, now())")
    before = stores.row(stores.view, 7)
    view = stores.feast.repository().view("second")
    second.unlink()
    outcome = register(stores.feast, stores.warehouse, run_id="test", allow_deletions=True)
    assert outcome.removed_online == {"second": stores.users}
    assert stores.row(view, 7) is None
    assert stores.row(stores.view, 7) == before
    assert stores.sql("select view from feast.online_views") == [("user_journal_features",)]


def test_values_of_a_view_that_somebody_else_deleted_wait_for_the_flag(stores) -> None:
    second = stores.feast.folder / "second.py"
    second.write_text(SECOND_VIEW)
    stores.run()
    view = stores.feast.repository().view("second")
    second.unlink()
    stores.feast.store().delete_feature_view("second")
    assert apply(stores) == []
    assert stores.row(view, 7) is not None
    assert apply(stores, allow_deletions=True) is None
    assert stores.row(view, 7) is None


def test_a_deleted_view_can_come_back(stores) -> None:
    second = stores.feast.folder / "second.py"
    second.write_text(SECOND_VIEW)
    apply(stores)
    second.unlink()
    apply(stores, allow_deletions=True)
    second.write_text(SECOND_VIEW)
    assert apply(stores) == ["create feature view second"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"avg_mood", dtype=Float64',
            '"mood", dtype=Float64',
            "the column mood, which gold.user_journal_features does not",
        ),
        (
            '"avg_mood", dtype=Float64',
            '"avg_mood", dtype=Int64',
            "avg_mood of gold.user_journal_features as int2 or int4",
        ),
        (
            'table="user_journal_features"',
            'table="nothing"',
            "gold.nothing, which does not exist: materialise the asset gold/not",
        ),
    ],
)
def test_a_definition_that_does_not_fit_its_table_is_refused_before_anything_is_written(
    stores, old: str, new: str, message: str
) -> None:
    stores.edit("user_journal.py", old, new)
    with pytest.raises(ColumnsDoNotFit, match=f"Nothing was applied or written. .*{message}"):
        apply(stores)
    tables = stores.sql("select tablename from pg_tables where schemaname = 'feast'")
    assert {name for (name,) in tables} == {"applied_definitions", "feature_statistics", "online_keys", "online_views"}
    assert digests(stores) == []
    stores.edit("user_journal.py", new, old)
    assert apply(stores) is not None
    assert views(stores) == {"user_journal_features"}


def test_a_bad_definition_leaves_what_was_applied_before_in_place(stores) -> None:
    apply(stores)
    before = (digests(stores), stores.sql("select feature_view_proto from feast.feature_views"))
    stores.edit("user_journal.py", '"avg_mood"', '"mood"')
    with pytest.raises(ColumnsDoNotFit):
        apply(stores)
    assert (digests(stores), stores.sql("select feature_view_proto from feast.feature_views")) == before


def test_a_column_that_goes_is_noticed_though_no_definition_changed(stores) -> None:
    apply(stores)
    stores.sql("alter table gold.user_journal_features drop column avg_mood")
    with pytest.raises(ColumnsDoNotFit, match="avg_mood"):
        apply(stores)


def test_a_missing_variable_is_named(stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_PASSWORD")
    with pytest.raises(RepositoryError, match=r"feature_store.yaml names REDIS_PASSWORD, which the environment lacks"):
        apply(stores)


def test_writers_wait_for_each_other(stores) -> None:
    order: list[str] = []

    def second() -> None:
        with only_writer(stores.warehouse, "terrane"):
            order.append("second")

    with only_writer(stores.warehouse, "terrane"):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_who_waits_says_for_whom(stores, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(state, "TOLD_AFTER_S", 0.2)

    def second() -> None:
        with only_writer(stores.warehouse, "terrane"):
            pass

    with only_writer(stores.warehouse, "terrane") as first:
        pid = first.info.backend_pid
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(1.5)
    waiting.join(10)
    told = [record.getMessage() for record in caplog.records if record.name == state.__name__]
    # Each time after as long again.
    assert 2 <= len(told) <= 4
    assert told[0].startswith(
        f"waiting to write terrane, which another applies or materialises; it has session {pid} of "
    )


def test_who_has_waited_too_long_says_for_whom(stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LOCK_TIMEOUT_S", 1)
    with only_writer(stores.warehouse, "terrane") as first:
        pid = first.info.backend_pid
        told = pytest.raises(RegistryBusy, match=f"for 1 s: look for it in the UI.*it has session {pid} of ")
        with told, only_writer(stores.warehouse, "terrane"):
            pass


def test_the_asset_tells_what_it_changed(stores) -> None:
    (event,) = stores.run().asset_materializations_for_node("feast__registry")
    assert event.metadata["applied"] == dg.MetadataValue.bool(True)
    assert "- create feature view user_journal_features" in str(event.metadata["changes"].value)
    (event,) = stores.run().asset_materializations_for_node("feast__registry")
    assert event.metadata["applied"] == dg.MetadataValue.bool(False)
    assert event.metadata["changes"].value == "none"


def test_materialization_intervals_do_not_grow_for_ever(stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terrane_features.feast_internals.INTERVALS_KEPT", 2)
    seen = []
    for _ in range(4):
        stores.run()
        intervals = stores.feast.store().get_feature_view("user_journal_features").materialization_intervals
        seen.append([end for _, end in intervals])
    assert seen[-1] == [seen[-2][-1], seen[-1][-1]]


def test_reading_a_repository_leaves_the_process_as_it_was(repository_copy: Path) -> None:
    import os
    import sys

    before = (os.getcwd(), list(sys.path), set(sys.modules) & {"entities", "user_journal"})
    FeastResource(repo_path=str(repository_copy)).contents()
    assert (os.getcwd(), list(sys.path), set(sys.modules) & {"entities", "user_journal"}) == before
