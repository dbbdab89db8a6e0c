"""What is deleted of a dataset: batches beyond its retention, and what attempts left that lost or died."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from terrane.publishing.attempts import Attempt, delete, list_attempts
from terrane.publishing.commits import (
    Commit,
    CommitTooNew,
    CommitUnreadable,
    commit_key,
    list_commits,
    read_commit,
)
from terrane.publishing.newest import advance, rebuild_newest

if TYPE_CHECKING:
    from terrane.object_store import Bucket

COLLECT_AFTER = timedelta(hours=24)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retention:
    """How much of a dataset is kept: a batch stays while any rule keeps it, and the newest always does.

    Attributes:
        batches: how many of the newest batches stay.
        age: how old a batch's data may be.
    """

    batches: int | None = None
    age: timedelta | None = None

    def __post_init__(self) -> None:
        if self.batches is None and self.age is None:
            raise ValueError("a retention needs a number of batches, an age, or both")
        if self.batches is not None and self.batches < 1:
            raise ValueError(f"a retention keeps at least one batch, not {self.batches}")

    def keeps(self, commit: Commit, place: int, now: datetime) -> bool:
        """Whether the batch stays that has that place among the newest, 0 being the newest."""
        by_number = self.batches is not None and place < self.batches
        by_age = self.age is not None and commit.order[0] >= now - self.age
        return place == 0 or by_number or by_age


@dataclass(frozen=True)
class Collected:
    """What became of attempts that were not finished: how many were looked at, finished, and deleted objects."""

    attempts: int
    published: int
    objects: int


def prune(
    lake: Bucket,
    dataset: str,
    retention: Retention,
    forget: Callable[[Commit], None] = lambda _: None,
    now: datetime | None = None,
) -> list[Commit]:
    """Deletes the batches that the retention does not keep: commit and data together, the oldest first.

    A batch is recorded as an attempt before its commit goes, so that what a killed process leaves is collected. Costs
    a request a batch that there is, which the retention bounds.

    Args:
        forget: is called with a batch's commit before it is deleted, to take it out of an index or a ledger.

    Returns:
        The commits that were deleted.
    """
    moment, gone = now or datetime.now(UTC), []
    newest_first = list_commits(lake, dataset)[::-1]
    for place, commit in reversed(list(enumerate(newest_first))):
        if retention.keeps(commit, place, moment):
            continue
        forget(commit)
        attempt = Attempt(dataset, commit.batch_id, commit.token or "0" * 32, moment)
        attempt.record(lake, commit.run_id)
        delete(lake, [commit_key(dataset, commit.batch_id)])
        delete(lake, [o.key for o in commit.objects])
        attempt.remove_record(lake)
        gone.append(commit)
    if gone:
        rebuild_newest(lake, dataset)
    return gone


def collect(
    lake: Bucket, dataset: str, older_than: timedelta = COLLECT_AFTER, now: datetime | None = None
) -> Collected:
    """Finishes what attempts left undone: the pointer of those that committed, the objects of those that did not.

    Can be repeated, and stopped anywhere. Costs requests by the attempts that were not finished, not by what is
    published. Objects of releases that kept no record of attempts are not found.

    Args:
        older_than: younger attempts are left alone; an attempt commits nothing that is older than six hours.
    """
    moment, looked_at, published, objects = now or datetime.now(UTC), 0, 0, 0
    for attempt in list_attempts(lake, dataset):
        if moment - attempt.begun_at < older_than:
            continue
        looked_at += 1
        try:
            commit = read_commit(lake, dataset, attempt.batch_id)
        except FileNotFoundError:
            commit = None
        except (CommitTooNew, CommitUnreadable) as error:
            log.warning("left what an attempt at %s %s made: %s", dataset, attempt.batch_id, error)
            continue
        if commit and commit.token == attempt.token:
            advance(lake, commit)
            published += 1
        else:
            objects += attempt.remove_objects(lake)
        attempt.remove_record(lake)
    return Collected(looked_at, published, objects)
