"""Whatever happens at whatever line of publishing: readers read whole batches, the next attempt succeeds, none is lost.

The count of faults that were planted is in the junit report as `faults_planted`.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError

from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.publishing import (
    AlreadyPublished,
    Commit,
    Retention,
    collect,
    commit_key,
    list_commits,
    newest_commit,
    prune,
    publish,
    read_commit,
    read_commits,
    rewrite,
)

sys.path.insert(0, str(Path(__file__).parent))
from line_faults import Killed, Line, fail_at, fail_at_step, lines_of, stand_still_at, steps_of

if TYPE_CHECKING:
    from terrane.object_store import Bucket

pytestmark = pytest.mark.integration

MONDAY, TUESDAY = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)
Record = Callable[[str, object], None]


class Lake:
    """Datasets, one for each fault, in each of which Monday's batch is published."""

    def __init__(self, bucket: Bucket):
        self.bucket, self._numbers = bucket, itertools.count()

    def dataset(self) -> str:
        name = f"d{next(self._numbers)}"
        publish(self.bucket, name, "monday", "run0", {"a": b"of monday"}, data_time=MONDAY)
        return name

    def publish(self, dataset: str, run_id: str = "run1", content: bytes = b"of tuesday") -> Commit:
        files = {"a": content, "b": content * 2}
        return publish(self.bucket, dataset, "tuesday", run_id, files, {"rows": 1}, data_time=TUESDAY)

    def keys(self, dataset: str) -> set[str]:
        return {str(e["path"]) for page in obstore.list(self.bucket, prefix=f"{dataset}/") for e in page}

    def is_whole(self, dataset: str) -> None:
        """Every commit is readable and every object is what its commit says; the newest is one of them."""
        found = read_commits(self.bucket, dataset)
        assert not found.unreadable
        for commit in found.readable:
            for each in commit.objects:
                content = bytes(obstore.get(self.bucket, each.key).bytes())
                assert (len(content), hashlib.sha256(content).hexdigest()) == (each.size, each.sha256)
        assert newest_commit(self.bucket, dataset) == found.readable[-1]

    def holds_nothing_else(self, dataset: str) -> None:
        """After collecting, commits, what they name and the pointer are all that is there."""
        collect(self.bucket, dataset, now=datetime.now(UTC) + timedelta(days=2))
        commits = list_commits(self.bucket, dataset)
        named = {each.key for commit in commits for each in commit.objects}
        known = named | {commit_key(dataset, c.batch_id) for c in commits} | {f"{dataset}/_newest.json"}
        assert self.keys(dataset) == known
        pointer = bytes(obstore.get(self.bucket, f"{dataset}/_newest.json").bytes())
        assert f'"{commits[-1].batch_id}"'.encode() in pointer


@pytest.fixture
def datasets(lake: Bucket) -> Lake:
    return Lake(lake)


@pytest.fixture
def object_store(request: pytest.FixtureRequest) -> ObjectStoreResource:
    """A folder, in which a fault costs a tenth of the time; S3 where the test says so."""
    return request.getfixturevalue(f"{getattr(request, 'param', 'folder')}_store")


on_both_stores = pytest.mark.parametrize("object_store", ["folder", "s3"], indirect=True)


def lines(datasets: Lake, record: Record) -> list[Line]:
    dataset = datasets.dataset()
    found = lines_of(lambda: datasets.publish(dataset))
    record("faults_planted", len(found))
    assert len(found) >= 20
    return found


@pytest.mark.parametrize("retry", ["run1", "run2"])
def test_a_publisher_that_dies_at_any_line(datasets: Lake, record_property: Record, retry: str) -> None:
    for line in lines(datasets, record_property):
        dataset = datasets.dataset()
        assert isinstance(fail_at(line, Killed(), lambda d=dataset: datasets.publish(d)), Killed)
        datasets.is_whole(dataset)
        committed = "tuesday" in [c.batch_id for c in list_commits(datasets.bucket, dataset)]
        try:
            made = datasets.publish(dataset, retry, b"rebuilt, and longer")
        except AlreadyPublished as error:
            assert committed
            assert retry == "run2"
            made = error.existing
        assert made == read_commit(datasets.bucket, dataset, "tuesday")
        assert made == newest_commit(datasets.bucket, dataset)
        datasets.is_whole(dataset)
        datasets.holds_nothing_else(dataset)


def test_an_error_at_any_line(datasets: Lake, record_property: Record) -> None:
    for line in lines(datasets, record_property):
        dataset = datasets.dataset()
        raised = fail_at(line, OSError("a fault"), lambda d=dataset: datasets.publish(d))
        committed = "tuesday" in [c.batch_id for c in list_commits(datasets.bucket, dataset)]
        datasets.is_whole(dataset)
        assert raised is None or not committed or "publisher.py" in line[0]
        assert datasets.publish(dataset, "run1", b"rebuilt") == newest_commit(datasets.bucket, dataset)
        datasets.is_whole(dataset)
        datasets.holds_nothing_else(dataset)


def publish_as_an_older_release(lake: Bucket, dataset: str, run_id: str) -> str:
    """What releases did that knew neither attempts nor pointers: the run's id in the key, the commit if absent."""
    content = b"of an older release"
    key = f"{dataset}/tuesday/{run_id}/a"
    obstore.put(lake, key, content)
    each = {"name": "a", "key": key, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    said = Commit(dataset, "tuesday", run_id, datetime.now(UTC).isoformat(), ()).to_json().decode()
    said = said.replace('"objects": []', f'"objects": [{each}]'.replace("'", '"'))
    try:
        obstore.put(lake, commit_key(dataset, "tuesday"), said.encode(), mode="create")
    except AlreadyExistsError:
        return "lost"
    return "won"


@on_both_stores
@pytest.mark.parametrize("other", ["this release", "an older release"])
def test_another_publishes_the_batch_while_this_one_is_at_any_line(
    datasets: Lake, record_property: Record, other: str
) -> None:
    for line in lines(datasets, record_property):
        dataset = datasets.dataset()

        def publish_other(d: str = dataset) -> object:
            if other == "this release":
                return datasets.publish(d, "run2", b"of the other")
            return publish_as_an_older_release(datasets.bucket, d, "run2")

        ours, theirs = stand_still_at(line, lambda d=dataset: datasets.publish(d), publish_other)
        won = read_commit(datasets.bucket, dataset, "tuesday")
        if won.run_id == "run1":
            assert ours == won
            assert isinstance(theirs, AlreadyPublished) or theirs == "lost"
        else:
            assert isinstance(ours, AlreadyPublished)
            assert theirs in (won, "won")
        datasets.is_whole(dataset)
        if other == "this release":
            datasets.holds_nothing_else(dataset)


@on_both_stores
def test_a_newer_batch_is_published_while_this_one_is_at_any_line(datasets: Lake, record_property: Record) -> None:
    """A publisher that stood still does not put its older batch in front of the newer one."""
    for line in lines(datasets, record_property):
        dataset = datasets.dataset()

        def publish_newer(d: str = dataset) -> Commit:
            later = TUESDAY + timedelta(days=1)
            return publish(datasets.bucket, d, "wednesday", "run2", {"a": b"w"}, data_time=later)

        ours, theirs = stand_still_at(line, lambda d=dataset: datasets.publish(d), publish_newer)
        assert [ours, theirs] == list_commits(datasets.bucket, dataset)[1:]
        assert newest_commit(datasets.bucket, dataset) == theirs
        datasets.holds_nothing_else(dataset)


def test_pruning_that_dies_at_any_line(datasets: Lake, record_property: Record) -> None:
    def prepared() -> str:
        dataset = datasets.dataset()
        datasets.publish(dataset)
        return dataset

    example = prepared()
    found = lines_of(lambda: prune(datasets.bucket, example, Retention(batches=1)))
    record_property("faults_planted", len(found))
    assert len(found) >= 20
    for line in found:
        dataset = prepared()
        assert isinstance(
            fail_at(line, Killed(), lambda d=dataset: prune(datasets.bucket, d, Retention(batches=1))), Killed
        )
        if "monday" not in [c.batch_id for c in list_commits(datasets.bucket, dataset)]:
            datasets.is_whole(dataset)
        prune(datasets.bucket, dataset, Retention(batches=1))
        datasets.is_whole(dataset)
        datasets.holds_nothing_else(dataset)
        assert [c.batch_id for c in list_commits(datasets.bucket, dataset)] == ["tuesday"]


def test_collecting_that_dies_at_any_line(datasets: Lake, record_property: Record) -> None:
    upload = next(line for line in lines(datasets, lambda *_: None) if line[0].endswith("objects.py"))

    def prepared() -> str:
        dataset = datasets.dataset()
        fail_at(upload, Killed(), lambda: datasets.publish(dataset))
        datasets.publish(dataset, "run2")
        return dataset

    def collect_all(dataset: str) -> object:
        return collect(datasets.bucket, dataset, now=datetime.now(UTC) + timedelta(days=2))

    example = prepared()
    found = lines_of(lambda: collect_all(example))
    record_property("faults_planted", len(found))
    assert len(found) >= 10
    for line in found:
        dataset = prepared()
        assert isinstance(fail_at(line, Killed(), lambda d=dataset: collect_all(d)), Killed)
        datasets.is_whole(dataset)
        datasets.holds_nothing_else(dataset)


def test_rewriting_that_dies_at_any_line(datasets: Lake, record_property: Record) -> None:
    """What is to be forgotten is gone after the second try, and the batch is there once, with its time."""

    def prepared() -> str:
        dataset = datasets.dataset()
        datasets.publish(dataset, content=b"of somebody")
        return dataset

    def forget(dataset: str) -> None:
        for commit in list_commits(datasets.bucket, dataset):
            rewrite(datasets.bucket, commit, without)

    def without(name: str, file: Path) -> Path | None:
        content = file.read_bytes()
        if b"somebody" not in content:
            return None
        file.write_bytes(content.replace(b"somebody", b"nobody"))
        return file

    example, files = prepared(), ("rewriting.py", "attempts.py")
    steps = steps_of(lambda: forget(example), files)
    # By line alone, those that publishing the other batch comes to first would hide those of deleting this one.
    record_property("faults_planted", steps)
    assert steps >= 40
    for step in range(1, steps + 1):
        dataset = prepared()
        assert isinstance(fail_at_step(step, Killed(), lambda d=dataset: forget(d), files), Killed)
        datasets.is_whole(dataset)
        forget(dataset)
        datasets.is_whole(dataset)
        datasets.holds_nothing_else(dataset)
        monday, tuesday = list_commits(datasets.bucket, dataset)
        assert (monday.batch_id, tuesday.order[0]) == ("monday", TUESDAY)
        assert tuesday.batch_id.startswith("tuesday-again-")
        for key in datasets.keys(dataset):
            assert b"somebody" not in bytes(obstore.get(datasets.bucket, key).bytes())


def test_a_process_that_is_killed_while_it_uploads(folder_store: ObjectStoreResource, tmp_path: Path) -> None:
    """What the faults above stand for, once with a process and SIGKILL."""
    reached = tmp_path / "reached"
    program = f"""
import pathlib, time
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.publishing import objects, publish
from terrane.publishing import publisher as module
def upload(*arguments):
    objects.upload(*arguments)
    pathlib.Path({str(reached)!r}).touch()
    time.sleep(60)
module.upload = upload
lake = ObjectStoreResource(endpoint={folder_store.endpoint!r}).bucket(DATA_LAKE)
publish(lake, "places", "b1", "run1", {{"a": b"1"}})
"""
    process = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    while not reached.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    lake = folder_store.bucket(DATA_LAKE)
    assert newest_commit(lake, "places") is None
    made = publish(lake, "places", "b1", "run1", {"a": b"rebuilt"})
    assert newest_commit(lake, "places") == made
    told = collect(lake, "places", now=datetime.now(UTC) + timedelta(days=2))
    assert (told.attempts, told.objects) == (1, 1)
