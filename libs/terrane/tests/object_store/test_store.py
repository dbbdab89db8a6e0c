"""Buckets look alike, whether they are folders or S3."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from terrane.object_store import DATA_LAKE, LANDING_ZONE, ObjectStoreResource, StoreFull, put
from terrane.object_store.buckets import ensure_buckets
from terrane.publishing import list_commits, publish
from terrane_dev.testing import running_minio

pytestmark = pytest.mark.integration


def test_what_is_put_is_listed_and_read_back(object_store: ObjectStoreResource) -> None:
    bucket = object_store.bucket(LANDING_ZONE)
    obstore.put(bucket, "batches/b1/Zürich file.zip", b"content")
    keys = [entry["path"] for page in obstore.list(bucket, prefix="batches/") for entry in page]
    assert keys == ["batches/b1/Zürich file.zip"]
    assert bytes(obstore.get(bucket, keys[0]).bytes()) == b"content"


def test_buckets_do_not_see_each_other(object_store: ObjectStoreResource) -> None:
    obstore.put(object_store.bucket(LANDING_ZONE), "a", b"1")
    assert [e for page in obstore.list(object_store.bucket(DATA_LAKE)) for e in page] == []


def test_a_missing_object_is_a_missing_file(object_store: ObjectStoreResource) -> None:
    with pytest.raises(FileNotFoundError):
        obstore.get(object_store.bucket(LANDING_ZONE), "nowhere")


def test_a_folder_store_says_where_its_folder_is(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    assert ObjectStoreResource(endpoint=folder.as_uri()).folder() == folder


def test_an_s3_store_has_no_folder() -> None:
    with pytest.raises(ValueError, match="127.0.0.1:9000 is an S3 server, not a folder"):
        ObjectStoreResource(endpoint="127.0.0.1:9000").folder()


def test_the_stores_own_address_wins_over_the_one_in_the_environment(
    s3_store: ObjectStoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    bucket = s3_store.bucket(LANDING_ZONE)
    obstore.put(bucket, "a", b"1")
    assert bytes(obstore.get(bucket, "a").bytes()) == b"1"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB, which only root can make."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(params=["folder", "s3"])
def nearly_full(request: pytest.FixtureRequest, small_disk: Path, tmp_path: Path) -> Iterator[ObjectStoreResource]:
    """A store with a few MiB left, of which the last object would take more."""
    if request.param == "folder":
        yield _filled(ObjectStoreResource(endpoint=(small_disk / "objects").as_uri()))
    else:
        with running_minio(small_disk / "objects", tmp_path / "minio.log") as store:
            yield _filled(store)


def test_a_full_disk_is_named_with_what_to_do_and_nothing_is_published(nearly_full: ObjectStoreResource) -> None:
    lake = nearly_full.bucket(DATA_LAKE)
    with pytest.raises(StoreFull, match=r"is full, and did not take places/b1/[0-9a-f]{32}/table\. .*larger disk"):
        publish(lake, "places", "b1", "run1", {"table": os.urandom(20 << 20)})
    assert list_commits(lake, "places") == []
    left = [entry["path"] for entry in obstore.list(lake, prefix="places/").collect()]
    # The record of the attempt stays: by it, what a failed attempt left is collected.
    assert [path for path in left if not path.startswith("places/_attempts/")] == []


def test_any_other_refusal_is_told_as_it_is(object_store: ObjectStoreResource) -> None:
    from obstore.exceptions import AlreadyExistsError

    bucket = object_store.bucket(DATA_LAKE)
    put(bucket, "a", b"1", create=True)
    with pytest.raises(AlreadyExistsError):
        put(bucket, "a", b"2", create=True)


def _filled(store: ObjectStoreResource) -> ObjectStoreResource:
    if not store.endpoint.startswith("file:"):
        ensure_buckets(store)
    bucket = store.bucket(LANDING_ZONE)
    for number in range(32):
        obstore.put(bucket, str(number), os.urandom(1 << 20))
    return store
