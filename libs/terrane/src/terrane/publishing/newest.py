"""Which batch is the newest by its data's time: a pointer, moved forward only, and made anew of the commits.

obstore is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from terrane.object_store.compare_and_swap import replace
from terrane.publishing.attempts import list_attempts
from terrane.publishing.commits import (
    COMMIT_VERSION,
    Commit,
    CommitTooNew,
    CommitUnreadable,
    list_commits,
    read_commit,
)

if TYPE_CHECKING:
    from terrane.object_store import Bucket

log = logging.getLogger(__name__)


def pointer_key(dataset: str) -> str:
    return f"{dataset}/_newest.json"


def newest_commit(lake: Bucket, dataset: str) -> Commit | None:
    """The published batch whose data's time is latest, None where nothing is published.

    Costs two reads and one listing of attempts under way, each of which is read once; a dataset without a pointer, or
    whose pointer leads to nothing that can be read, costs a request a batch.

    Raises:
        CommitTooNew: it was published by a release that this one cannot read.
    """
    pointed = _pointed(lake, dataset)
    if pointed is None:
        commits = list_commits(lake, dataset)
        return commits[-1] if commits else None
    under_way = {attempt.batch_id for attempt in list_attempts(lake, dataset)} - {pointed.batch_id}
    return max([pointed, *_committed(lake, dataset, under_way)], key=lambda c: c.order)


def advance(lake: Bucket, commit: Commit) -> None:
    """Points to the commit, unless it points to a newer one already. The first time it looks at every commit."""

    def change(before: bytes | None) -> bytes | None:
        said = _said(before, commit.dataset)
        if said is None:
            return _pointer(max([commit, *list_commits(lake, commit.dataset)], key=lambda c: c.order), 1)
        return _pointer(commit, int(said["generation"]) + 1) if _order(said) < commit.order else None

    replace(lake, pointer_key(commit.dataset), change)


def rebuild_newest(lake: Bucket, dataset: str) -> Commit | None:
    """Makes the pointer what the commits say, whatever it said; returns the newest. Costs a request a batch."""

    def change(before: bytes | None) -> bytes | None:
        commits = list_commits(lake, dataset)
        if not commits:
            return None
        said = _said(before, dataset)
        if said and _order(said) == commits[-1].order:
            return None
        return _pointer(commits[-1], int(said["generation"]) + 1 if said else 1)

    replace(lake, pointer_key(dataset), change)
    return newest_commit(lake, dataset)


def _pointed(lake: Bucket, dataset: str) -> Commit | None:
    """The commit that the pointer names; None, with a warning, where it leads to none that can be read."""
    import obstore

    try:
        said = _said(bytes(obstore.get(lake, pointer_key(dataset)).bytes()), dataset)
        return read_commit(lake, dataset, said["batch_id"]) if said else None
    except FileNotFoundError:
        return None
    except CommitUnreadable as error:
        log.warning("%s; the newest that can be read is taken instead", error)
        return None


def _committed(lake: Bucket, dataset: str, batch_ids: Iterable[str]) -> list[Commit]:
    found = []
    for batch_id in batch_ids:
        try:
            found.append(read_commit(lake, dataset, batch_id))
        except FileNotFoundError:
            continue
        except CommitUnreadable as error:
            log.warning("left out: %s", error)
    return found


def _pointer(commit: Commit, generation: int) -> bytes:
    said = {
        "version": COMMIT_VERSION,
        "generation": generation,
        "batch_id": commit.batch_id,
        "data_time": commit.data_time,
        "published_at": commit.published_at,
    }
    return json.dumps(said, indent=2).encode()


def _said(content: bytes | None, dataset: str) -> dict[str, Any] | None:
    """The pointer's fields; None where there is none, or one that can't be read and is to be written anew."""
    if content is None:
        return None
    try:
        said = json.loads(content)
        version = int(said["version"])
        if version > COMMIT_VERSION:
            raise CommitTooNew(pointer_key(dataset), version)
        int(said["generation"])
        _order(said)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning("%s cannot be read (%s) and is made anew of the commits", pointer_key(dataset), error)
        return None
    return said


def _order(said: dict[str, Any]) -> tuple[Any, ...]:
    """As `Commit.order`, of what the pointer says."""
    return Commit("", said["batch_id"], "", said["published_at"], (), data_time=said["data_time"]).order
