"""The newest batch is the one whose data are newest, whoever published when, and finding it costs the same always."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest

from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.publishing import Commit, commit_key, newest_commit, publish, read_commit, rebuild_newest, rewrite

if TYPE_CHECKING:
    from terrane.object_store import Bucket

pytestmark = pytest.mark.integration
MONDAY, TUESDAY = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)


def publish_of(lake: Bucket, batch: str, data_time: datetime) -> Commit:
    return publish(lake, "places", batch, f"run-{batch}", {"a": b"1"}, data_time=data_time)


def pointer(lake: Bucket) -> dict[str, object]:
    return json.loads(bytes(obstore.get(lake, "places/_newest.json").bytes()))


def test_nothing_is_newest_where_nothing_is_published(lake: Bucket) -> None:
    assert newest_commit(lake, "places") is None
    assert rebuild_newest(lake, "places") is None


def test_an_old_batch_that_is_published_late_changes_nothing(lake: Bucket) -> None:
    tuesday = publish_of(lake, "tuesday", TUESDAY)
    publish_of(lake, "monday", MONDAY)
    assert newest_commit(lake, "places") == tuesday
    assert pointer(lake)["batch_id"] == "tuesday"


def test_zones_do_not_decide_what_is_newest(lake: Bucket) -> None:
    late = publish_of(lake, "late", datetime.fromisoformat("2026-01-06T01:00:00-05:00"))
    publish_of(lake, "early", datetime.fromisoformat("2026-01-06T02:00:00+05:00"))
    assert newest_commit(lake, "places") == late


def test_without_a_time_of_its_data_a_batch_goes_by_its_publication(lake: Bucket) -> None:
    publish(lake, "exports", "one", "run1", {"a": b"1"})
    two = publish(lake, "exports", "two", "run2", {"a": b"1"})
    assert newest_commit(lake, "exports") == two


def test_every_move_of_the_pointer_has_a_higher_number(lake: Bucket) -> None:
    numbers = []
    for day in range(3):
        publish_of(lake, f"b{day}", MONDAY + timedelta(days=day))
        numbers.append(pointer(lake)["generation"])
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"version": 1, "generation": 1, "batch_id": "b1"}', None])
def test_a_pointer_that_is_lost_is_made_anew_of_the_commits(lake: Bucket, damage: bytes | None) -> None:
    publish_of(lake, "monday", MONDAY)
    tuesday = publish_of(lake, "tuesday", TUESDAY)
    if damage is None:
        obstore.delete(lake, "places/_newest.json")
    else:
        obstore.put(lake, "places/_newest.json", damage)
    assert newest_commit(lake, "places") == tuesday
    publish_of(lake, "sunday", MONDAY - timedelta(days=1))
    assert pointer(lake)["batch_id"] == "tuesday"
    obstore.delete(lake, "places/_newest.json")
    assert rebuild_newest(lake, "places") == tuesday
    assert pointer(lake)["batch_id"] == "tuesday"


def test_a_pointer_to_a_batch_that_is_gone_leads_to_the_newest_there_is(lake: Bucket) -> None:
    monday = publish_of(lake, "monday", MONDAY)
    publish_of(lake, "tuesday", TUESDAY)
    obstore.delete(lake, commit_key("places", "tuesday"))
    assert newest_commit(lake, "places") == monday
    assert rebuild_newest(lake, "places") == monday
    assert pointer(lake)["batch_id"] == "monday"


def test_a_batch_that_is_rewritten_stays_the_newest_though_a_clock_ahead_had_published_it(lake: Bucket) -> None:
    publish_of(lake, "monday", MONDAY)
    publish_of(lake, "tuesday", TUESDAY)
    key = commit_key("places", "tuesday")
    told = json.loads(bytes(obstore.get(lake, key).bytes()))
    obstore.put(lake, key, json.dumps(told | {"published_at": "2999-01-01T00:00:00+00:00"}).encode())
    rebuild_newest(lake, "places")
    made = rewrite(lake, read_commit(lake, "places", "tuesday"), emptied)
    assert made
    assert pointer(lake)["batch_id"] == made.batch_id
    assert newest_commit(lake, "places") == made


def emptied(_: str, file: Path) -> Path:
    file.write_bytes(b"")
    return file


def test_a_batch_of_a_release_without_pointers_is_found_by_making_it_anew(lake: Bucket) -> None:
    publish_of(lake, "monday", MONDAY)
    old = Commit("places", "tuesday", "run", TUESDAY.isoformat(), ()).to_json()
    obstore.put(lake, commit_key("places", "tuesday"), old)
    found = rebuild_newest(lake, "places")
    assert found is not None
    assert found.batch_id == "tuesday"


def test_publishing_and_finding_the_newest_cost_the_same_after_10_and_after_10_000_batches(
    folder_store: ObjectStoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, calls = folder_store.bucket(DATA_LAKE), Counter()
    for name in ("get", "put", "list", "delete"):
        monkeypatch.setattr(obstore, name, counted(getattr(obstore, name), name, calls))
    costs = []
    for many in (10, 10_000):
        commits = Path(str(lake.prefix), f"of_{many}", "_commits")
        commits.mkdir(parents=True)
        for n in range(many):
            old = Commit(f"of_{many}", f"b{n}", "run", (MONDAY + timedelta(minutes=n)).isoformat(), ())
            (commits / f"b{n}.json").write_bytes(old.to_json())
        rebuild_newest(lake, f"of_{many}")
        calls.clear()
        publish(lake, f"of_{many}", "new", "run", {"a": b"1"})
        newest = newest_commit(lake, f"of_{many}")
        assert newest is not None
        assert newest.batch_id == "new"
        costs.append(dict(calls))
    assert costs[0] == costs[1]
    assert sum(costs[0].values()) <= 12


def counted(function, name: str, calls: Counter):
    """The function, which counts its calls and, of a listing, the objects that it gave."""

    def call(*args, **kwargs):
        calls[name] += 1
        found = function(*args, **kwargs)
        if name != "list":
            return found
        pages = list(found)
        calls["listed"] += sum(len(page) for page in pages)
        return pages

    return call
