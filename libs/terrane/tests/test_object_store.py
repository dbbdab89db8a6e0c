"""Buckets look alike, whether they are folders or S3."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest

from terrane.object_store import DATA_LAKE, LANDING_ZONE, ObjectStoreResource

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
