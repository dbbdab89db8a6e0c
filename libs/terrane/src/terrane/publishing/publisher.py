"""One attempt to publish a batch: what was committed before, the upload, the commit, the pointer.

obstore is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane.object_store import put
from terrane.publishing.attempts import Attempt
from terrane.publishing.commits import Commit, commit_key, read_commit
from terrane.publishing.newest import advance
from terrane.publishing.objects import Content, upload

if TYPE_CHECKING:
    from terrane.object_store import Bucket

# A quarter of what `collect` waits for at least, so that clocks may differ by hours.
MAX_ATTEMPT = timedelta(hours=6)

log = logging.getLogger(__name__)


class AlreadyPublished(Exception):
    """The batch was published before by another run, and what that run published stands."""

    def __init__(self, existing: Commit):
        self.existing = existing
        super().__init__(
            f"{existing.dataset} {existing.batch_id} was already published by run {existing.run_id} "
            f"at {existing.published_at}; a batch is published once, so send the new content under a new batch_id"
        )


class AttemptTooOld(RuntimeError):
    """Uploading took so long that the objects may have been collected as those of an attempt that died."""


def publish(
    lake: Bucket,
    dataset: str,
    batch_id: str,
    run_id: str,
    files: Mapping[str, Path | bytes | Content],
    summary: Mapping[str, Any] | None = None,
    *,
    data_time: datetime | None = None,
) -> Commit:
    """Uploads the files, then commits them as the batch. Costs the same however many batches there are.

    A batch that is committed already is left alone and nothing is uploaded. After the commit nothing fails: a pointer
    that could not be moved is a warning, readers find the batch by its attempt, and `collect` moves it.

    Seven arguments, each by its name in the commit: only the caller knows them, before there is one.

    Args:
        files: a name in the batch to a local file or to bytes.
        data_time: what the newest batch is chosen by, with its zone; the time of publication without it.

    Returns:
        The commit. Publishing again from the same run returns the commit it made before.

    Raises:
        AlreadyPublished: another run committed this batch; what was uploaded here is deleted.
        AttemptTooOld: uploading took over six hours; nothing is published.
        CommitTooNew, CommitUnreadable: the batch has a commit that this release can't read.
        StoreFull: the store has no room left; nothing is published.
        ValueError: `data_time` has no zone.
    """
    from obstore.exceptions import AlreadyExistsError

    if data_time is not None and data_time.tzinfo is None:
        raise ValueError(f"data_time {data_time.isoformat()} of {dataset} {batch_id} has no zone")
    existing = _committed(lake, dataset, batch_id)
    if existing:
        return _stands(lake, existing, run_id)
    attempt = Attempt(dataset, batch_id, uuid.uuid4().hex, datetime.now(UTC))
    attempt.record(lake, run_id)
    objects = tuple(upload(lake, f"{attempt.folder}{name}", name, source) for name, source in files.items())
    now = datetime.now(UTC)
    if now - attempt.begun_at > MAX_ATTEMPT:
        raise AttemptTooOld(f"{dataset} {batch_id} took over {MAX_ATTEMPT} to upload; nothing was published, try again")
    commit = Commit(
        dataset,
        batch_id,
        run_id,
        now.isoformat(),
        objects,
        dict(summary or {}),
        token=attempt.token,
        data_time=data_time.astimezone(UTC).isoformat() if data_time else "",
    )
    try:
        put(lake, commit_key(dataset, batch_id), commit.to_json(), create=True)
    except AlreadyExistsError:
        existing = read_commit(lake, dataset, batch_id)
        if existing.token != attempt.token:
            _collect(lake, attempt)
            return _stands(lake, existing, run_id)
    _point_to(lake, commit, attempt)
    return commit


def _committed(lake: Bucket, dataset: str, batch_id: str) -> Commit | None:
    try:
        return read_commit(lake, dataset, batch_id)
    except FileNotFoundError:
        return None


def _stands(lake: Bucket, existing: Commit, run_id: str) -> Commit:
    """The commit for the run that made it. Raises AlreadyPublished for any other."""
    _point_to(lake, existing, None)
    if existing.run_id != run_id:
        raise AlreadyPublished(existing)
    return existing


def _point_to(lake: Bucket, commit: Commit, attempt: Attempt | None) -> None:
    try:
        advance(lake, commit)
        if attempt:
            attempt.remove_record(lake)
    except Exception as error:
        log.warning(
            "%s %s is published, but the pointer to the newest batch could not be moved: %s %s. Readers find the batch "
            "all the same, and collecting moves the pointer",
            commit.dataset,
            commit.batch_id,
            type(error).__name__,
            error,
        )


def _collect(lake: Bucket, attempt: Attempt) -> None:
    """Deletes what this attempt, which lost, uploaded; what remains is left to `collect`."""
    try:
        attempt.remove_objects(lake)
        attempt.remove_record(lake)
    except Exception as error:
        log.warning("objects of a lost attempt remain below %s until they are collected: %s", attempt.folder, error)
