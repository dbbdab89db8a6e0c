"""Publishing a batch again without a part of it: for what has to be forgotten, and for nothing else.

The one exception to objects being written once: the batch's place is taken by another, with the same data's time, and
then its own objects and commit go. A process that dies between has published both, and doing it again ends it.

obstore is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from terrane.publishing.attempts import Attempt, delete
from terrane.publishing.commits import Commit, commit_key, commits_prefix
from terrane.publishing.newest import rebuild_newest
from terrane.publishing.objects import download
from terrane.publishing.publisher import publish

if TYPE_CHECKING:
    from terrane.object_store import Bucket

AGAIN = "-again-"
Change = Callable[[str, Path], Path | None]


def list_datasets(lake: Bucket, prefix: str) -> list[str]:
    """The datasets whose names begin so. Costs a listing of all their objects."""
    import obstore

    found, marker = set(), commits_prefix("")
    for page in obstore.list(lake, prefix=f"{prefix.strip('/')}/"):
        for entry in page:
            name, mark, _ = str(entry["path"]).partition(marker)
            if mark:
                found.add(name)
    return sorted(found)


def rewrite(lake: Bucket, commit: Commit, change: Change) -> Commit | None:
    """Publishes the batch as another, with what `change` makes of its files, and deletes it.

    Args:
        change: gets an object's name and a local copy; returns the file to publish instead, or None where the content
            stays as it is. Where it does of all of them, nothing happens.

    Returns the new commit, None where nothing happened. Costs reading and writing the batch, and where it changes a
    request a batch of the dataset, for the pointer to the newest.
    """
    with tempfile.TemporaryDirectory(prefix="terrane-rewrite-") as folder:
        files: dict[str, Path | bytes] = {}
        changed = False
        for number, each in enumerate(commit.objects):
            file = download(lake, each, Path(folder, str(number)))
            other = change(each.name, file)
            changed = changed or other is not None
            files[each.name] = other or file
        if not changed:
            return None
        # The same each time, so that a second try finds what the first one published.
        token = hashlib.sha256((commit.token or commit.batch_id).encode()).hexdigest()[:8]
        batch_id = f"{commit.batch_id.partition(AGAIN)[0]}{AGAIN}{token}"
        made = publish(lake, commit.dataset, batch_id, commit.run_id, files, commit.summary, data_time=commit.order[0])
    attempt = Attempt(commit.dataset, commit.batch_id, commit.token or "0" * 32, datetime.now(UTC))
    attempt.record(lake, commit.run_id)
    delete(lake, [commit_key(commit.dataset, commit.batch_id), *(each.key for each in commit.objects)])
    attempt.remove_record(lake)
    rebuild_newest(lake, commit.dataset)
    return made
