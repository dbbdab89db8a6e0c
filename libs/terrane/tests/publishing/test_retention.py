"""What a retention keeps, and what is deleted together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import obstore
import pytest

from terrane.publishing import Commit, Retention, collect, list_commits, newest_commit, prune, publish

if TYPE_CHECKING:
    from terrane.object_store import Bucket

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 31, tzinfo=UTC)


def publish_of_days(lake: Bucket, *ages: int) -> list[Commit]:
    """A batch a day, each so many days old."""
    return [publish(lake, "places", f"b{age}", "run", {"a": b"1"}, data_time=NOW - timedelta(days=age)) for age in ages]


def left(lake: Bucket) -> list[str]:
    return [commit.batch_id for commit in list_commits(lake, "places")]


@pytest.mark.parametrize(
    ("retention", "stay"),
    [
        (Retention(batches=2), ["b2", "b1"]),
        (Retention(age=timedelta(days=3)), ["b3", "b2", "b1"]),
        (Retention(age=timedelta(hours=1)), ["b1"]),
        (Retention(batches=1, age=timedelta(days=2)), ["b2", "b1"]),
        (Retention(batches=9), ["b9", "b3", "b2", "b1"]),
    ],
    ids=str,
)
def test_batches_stay_while_a_rule_keeps_them(lake: Bucket, retention: Retention, stay: list[str]) -> None:
    publish_of_days(lake, 2, 9, 1, 3)
    gone = prune(lake, "places", retention, now=NOW)
    assert left(lake) == stay
    assert {c.batch_id for c in gone} | set(stay) == {"b9", "b3", "b2", "b1"}


def test_data_commit_and_what_else_names_a_batch_go_together(lake: Bucket) -> None:
    publish_of_days(lake, 2, 1)
    publish(lake, "others", "b1", "run", {"a": b"1"})
    forgotten = []
    prune(lake, "places", Retention(batches=1), forgotten.append)
    assert [commit.batch_id for commit in forgotten] == ["b2"]
    keys = {str(e["path"]) for page in obstore.list(lake, prefix="places/") for e in page}
    newest = newest_commit(lake, "places")
    assert newest is not None
    assert keys == {"places/_commits/b1.json", "places/_newest.json", newest.object("a").key}
    assert left(lake) == ["b1"]


def test_a_batch_that_cannot_be_forgotten_is_not_deleted(lake: Bucket) -> None:
    publish_of_days(lake, 2, 1)

    def refuse(commit: Commit) -> None:
        raise RuntimeError("the ledger is away")

    with pytest.raises(RuntimeError, match="away"):
        prune(lake, "places", Retention(batches=1), refuse)
    assert left(lake) == ["b2", "b1"]


def test_young_attempts_are_left_alone(lake: Bucket) -> None:
    obstore.put(lake, f"places/_attempts/{'a' * 32}-b1.json", b"{}")
    obstore.put(lake, f"places/b1/{'a' * 32}/a", b"under way")
    now = datetime.now(UTC)
    assert collect(lake, "places", now=now).attempts == 0
    assert collect(lake, "places", now=now + timedelta(hours=25)).objects == 1
    assert [e for page in obstore.list(lake) for e in page] == []


def test_a_commit_that_cannot_be_read_does_not_stop_collecting(lake: Bucket) -> None:
    for batch, token in (("b1", "a"), ("b2", "b")):
        obstore.put(lake, f"places/_attempts/{token * 32}-{batch}.json", b"{}")
        obstore.put(lake, f"places/{batch}/{token * 32}/a", b"1")
    obstore.put(lake, "places/_commits/b1.json", b"{")
    assert collect(lake, "places", now=datetime.now(UTC) + timedelta(days=2)).objects == 1
    assert f"places/_attempts/{'a' * 32}-b1.json" in {str(e["path"]) for page in obstore.list(lake) for e in page}


@pytest.mark.parametrize("wrong", [{}, {"batches": 0}])
def test_a_retention_that_would_keep_nothing_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="retention"):
        Retention(**wrong)
