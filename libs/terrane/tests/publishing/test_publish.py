"""A batch is published all at once, once, and by one run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest

from terrane.publishing import (
    AlreadyPublished,
    AttemptTooOld,
    Commit,
    PublishedObject,
    commit_key,
    download,
    list_commits,
    probe_put_if_absent,
    publish,
    publisher,
    read_commit,
)

if TYPE_CHECKING:
    from terrane.object_store import Bucket

pytestmark = pytest.mark.integration


def keys(lake: Bucket) -> set[str]:
    return {str(entry["path"]) for page in obstore.list(lake) for entry in page}


def test_a_published_batch_is_read_back_as_it_was(lake: Bucket, tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    table.write_bytes(b"x" * 100_000)
    made = publish(lake, "places", "b1", "run1", {"table.parquet": table, "item.json": b"{}"}, {"rows": 7})
    found = read_commit(lake, "places", "b1")
    assert found == made
    assert found.summary == {"rows": 7}
    assert found.object("table.parquet").key == f"places/b1/{found.token}/table.parquet"
    assert download(lake, found.object("table.parquet"), tmp_path / "copy").read_bytes() == table.read_bytes()


def test_a_step_tried_again_in_its_run_leaves_what_it_published(lake: Bucket, tmp_path: Path) -> None:
    first = publish(lake, "places", "b1", "run1", {"a": b"one"})
    before = keys(lake)
    assert publish(lake, "places", "b1", "run1", {"a": b"two, rebuilt"}) == first
    assert download(lake, first.object("a"), tmp_path / "a").read_bytes() == b"one"
    assert keys(lake) == before


def test_no_object_is_written_twice(lake: Bucket) -> None:
    obstore.put(lake, "places/_attempts/other", b"")
    tokens = {publish(lake, "places", f"b{n}", "run1", {"a": b"1"}).token for n in range(3)}
    assert len(tokens) == 3
    assert all(len(token) == 32 for token in tokens)


def test_what_an_attempt_that_lost_uploaded_is_deleted(lake: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = publisher.upload

    def upload_while_another_publishes(bucket: Bucket, key: str, name: str, source: Path | bytes) -> PublishedObject:
        monkeypatch.setattr(publisher, "upload", upload)
        publish(bucket, "places", "b1", "run1", {"a": b"first"})
        return upload(bucket, key, name, source)

    monkeypatch.setattr(publisher, "upload", upload_while_another_publishes)
    with pytest.raises(AlreadyPublished):
        publish(lake, "places", "b1", "run2", {"a": b"second"})
    won = read_commit(lake, "places", "b1")
    assert keys(lake) == {"places/_commits/b1.json", "places/_newest.json", won.object("a").key}


def test_an_attempt_that_took_longer_than_objects_are_safe_publishes_nothing(
    lake: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "MAX_ATTEMPT", timedelta(0))
    with pytest.raises(AttemptTooOld, match="places b1 took over 0:00:00 to upload; nothing was published"):
        publish(lake, "places", "b1", "run1", {"a": b"1"})
    assert list_commits(lake, "places") == []


def test_a_time_of_the_data_without_a_zone_is_refused(lake: Bucket) -> None:
    with pytest.raises(ValueError, match="2026-01-01T00:00:00 of places b1 has no zone"):
        publish(lake, "places", "b1", "run1", {"a": b"1"}, data_time=datetime(2026, 1, 1))
    assert keys(lake) == set()


def test_another_run_cannot_publish_the_same_batch(lake: Bucket) -> None:
    first = publish(lake, "places", "b1", "run1", {"a": b"1"})
    with pytest.raises(AlreadyPublished, match="places b1 was already published by run run1 .* new batch_id"):
        publish(lake, "places", "b1", "run2", {"a": b"2"})
    assert list_commits(lake, "places") == [first]


def test_of_many_runs_that_race_for_a_batch_one_wins(lake: Bucket) -> None:
    def attempt(run: int) -> Commit | None:
        try:
            return publish(lake, "places", "b1", f"run{run}", {"a": str(run).encode()})
        except AlreadyPublished:
            return None

    with ThreadPoolExecutor(16) as pool:
        won = [commit for commit in pool.map(attempt, range(16)) if commit]
    assert won == list_commits(lake, "places")
    assert len(won) == 1


def test_data_without_a_commit_is_not_seen(lake: Bucket) -> None:
    obstore.put(lake, "places/b1/run1/a", b"left by a run that died")
    assert list_commits(lake, "places") == []


def test_commits_are_listed_by_their_datas_time_and_by_dataset(lake: Bucket) -> None:
    publish(lake, "places", "b1", "run", {"a": b"1"}, data_time=datetime(2026, 1, 2, tzinfo=UTC))
    publish(lake, "places", "b2", "run", {"a": b"1"}, data_time=datetime(2026, 1, 1, 12, tzinfo=UTC))
    publish(lake, "places_of_others", "b9", "run", {"a": b"1"})
    assert [c.batch_id for c in list_commits(lake, "places")] == ["b2", "b1"]


def test_an_object_that_changed_after_its_commit_is_refused(lake: Bucket, tmp_path: Path) -> None:
    commit = publish(lake, "places", "b1", "run1", {"a": b"true"})
    obstore.put(lake, commit.object("a").key, b"fake")
    with pytest.raises(ValueError, match=r"places/b1/\w{32}/a is not what its commit says"):
        download(lake, commit.object("a"), tmp_path / "a")


def test_a_name_that_is_not_in_the_batch_is_answered_with_those_that_are(lake: Bucket) -> None:
    commit = publish(lake, "places", "b1", "run1", {"a": b"1", "b": b"2"})
    with pytest.raises(KeyError, match="no object named c; it has a, b"):
        commit.object("c")


def test_the_probe_leaves_nothing_behind(lake: Bucket) -> None:
    probe_put_if_absent(lake)
    assert [e for page in obstore.list(lake) for e in page] == []


def test_the_probe_refuses_a_store_that_overwrites(lake: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    put = obstore.put
    monkeypatch.setattr(obstore, "put", lambda store, key, data, **_: put(store, key, data))
    with pytest.raises(RuntimeError, match="overwrites on put-if-absent"):
        probe_put_if_absent(lake)


def test_a_commit_is_where_readers_look(lake: Bucket) -> None:
    publish(lake, "places", "b1", "run1", {"a": b"1"})
    assert Commit.from_json(bytes(obstore.get(lake, commit_key("places", "b1")).bytes())).batch_id == "b1"
