"""Commits of any release are read, or refused in words, each alone."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import obstore
import pytest

from terrane.publishing import (
    CommitTooNew,
    CommitUnreadable,
    commit_key,
    list_commits,
    newest_commit,
    publish,
    read_commit,
    read_commits,
)

if TYPE_CHECKING:
    from terrane.object_store import Bucket

pytestmark = pytest.mark.integration


def rewrite(lake: Bucket, batch_id: str, **changes: object) -> None:
    key = commit_key("places", batch_id)
    said = json.loads(bytes(obstore.get(lake, key).bytes())) | changes
    obstore.put(lake, key, json.dumps(said).encode())


def test_fields_of_a_newer_release_are_ignored(lake: Bucket) -> None:
    commit = publish(lake, "places", "b1", "run1", {"a": b"1"})
    objects = [{"name": "a", "key": commit.object("a").key, "size": 1, "sha256": "x", "licence": "CC0"}]
    rewrite(lake, "b1", licence="CC0", objects=objects)
    assert read_commit(lake, "places", "b1").object("a").key == commit.object("a").key


def test_a_commit_of_a_release_without_tokens_is_read(lake: Bucket) -> None:
    obstore.put(
        lake,
        commit_key("places", "b1"),
        b'{"dataset": "places", "batch_id": "b1", "run_id": "r", "published_at": "2026-01-01T00:00:00+00:00", '
        b'"objects": [], "summary": {}, "version": 1}',
    )
    assert read_commit(lake, "places", "b1").order[0].isoformat() == "2026-01-01T00:00:00+00:00"


def test_a_higher_version_is_refused_in_words(lake: Bucket) -> None:
    publish(lake, "places", "b1", "run1", {"a": b"1"})
    rewrite(lake, "b1", version=2)
    words = "_commits/b1.json was written by a newer release: it has version 2, and this release reads up to 1. Upgrade"
    for read in (lambda: read_commit(lake, "places", "b1"), lambda: newest_commit(lake, "places")):
        with pytest.raises(CommitTooNew, match=words):
            read()
    with pytest.raises(CommitTooNew, match=words):
        publish(lake, "places", "b1", "run1", {"a": b"2"})


BROKEN = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff",
    b"{}",
    b'{"version": "one"}',
    b'{"version": 1, "objects": 5}',
    b'{"version": 1, "objects": [1]}',
    b'{"version": 1, "objects": []}',
    b'{"version": 1, "objects": [], "dataset": "places", "batch_id": "b2", "run_id": "r", "published_at": "soon"}',
    b'{"version": ' + b"9" * 5000 + b"}",
    b"[" * 100_000,
]


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_one_broken_commit_is_skipped_and_told(lake: Bucket, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    good = publish(lake, "places", "b1", "run1", {"a": b"1"})
    obstore.put(lake, commit_key("places", "b2"), content)
    with caplog.at_level(logging.WARNING):
        assert list_commits(lake, "places") == [good]
    assert "left out: places/_commits/b2.json is no commit that can be read" in caplog.text
    assert list(read_commits(lake, "places").unreadable) == ["places/_commits/b2.json"]
    with pytest.raises(CommitUnreadable, match="b2"):
        read_commit(lake, "places", "b2")
