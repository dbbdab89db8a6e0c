"""Commit objects: what they say, where they are, and reading those of any release.

obstore is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrane.object_store import Bucket

COMMIT_VERSION = 1
READERS = 16

log = logging.getLogger(__name__)


class CommitUnreadable(ValueError):
    """A commit object that is not JSON of a commit's form: not written by `publish`, or damaged."""


class CommitTooNew(RuntimeError):
    """A commit whose version is higher than what this release knows."""

    def __init__(self, key: str, version: int):
        super().__init__(
            f"{key} was written by a newer release: it has version {version}, and this release reads up to "
            f"{COMMIT_VERSION}. Upgrade the location that reads it"
        )


@dataclass(frozen=True)
class PublishedObject:
    """One data object of a commit: its name in the batch, its key in the bucket, its size in bytes and its SHA-256."""

    name: str
    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Commit:
    """A published batch.

    Attributes:
        run_id: of the run that published it.
        published_at: ISO 8601, in UTC.
        summary: what its publisher says of it: rows, CRS, bounds.
        token: of the attempt whose objects these are; empty in commits of releases that had none.
        data_time: what newest goes by, ISO 8601 in UTC; empty where the publisher named none.
    """

    dataset: str
    batch_id: str
    run_id: str
    published_at: str
    objects: tuple[PublishedObject, ...]
    summary: dict[str, Any] = field(default_factory=dict)
    version: int = COMMIT_VERSION
    token: str = ""
    data_time: str = ""

    @property
    def order(self) -> tuple[datetime, datetime, str]:
        """Sorts batches by their data's time, which is that of publication where the commit names none."""
        published = _moment(self.published_at)
        return _moment(self.data_time) if self.data_time else published, published, self.batch_id

    def object(self, name: str) -> PublishedObject:
        """The object of that name. Raises KeyError with the names there are."""
        for candidate in self.objects:
            if candidate.name == name:
                return candidate
        names = ", ".join(o.name for o in self.objects)
        raise KeyError(f"{self.dataset} {self.batch_id} has no object named {name}; it has {names}")

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, text: bytes, key: str = "the commit") -> Commit:
        """The commit; fields that this release does not know are ignored.

        Raises:
            CommitTooNew: its version is higher than this release's.
            CommitUnreadable: it is no commit.
        """
        try:
            said = json.loads(text)
            version = int(said["version"])
            if version > COMMIT_VERSION:
                raise CommitTooNew(key, version)
            objects = tuple(PublishedObject(**_known(PublishedObject, o)) for o in said["objects"])
            known: dict[str, Any] = {**_known(cls, said), "objects": objects}
            commit = cls(**known)
            _ = commit.order
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise CommitUnreadable(f"{key} is no commit that can be read: {type(error).__name__} {error}") from None
        return commit


@dataclass(frozen=True)
class Commits:
    """The commits of a dataset by their data's time, oldest first, and why others could not be read, by their key."""

    readable: list[Commit]
    unreadable: dict[str, str]


def commits_prefix(dataset: str) -> str:
    return f"{dataset}/_commits/"


def commit_key(dataset: str, batch_id: str) -> str:
    return f"{commits_prefix(dataset)}{batch_id}.json"


def read_commit(lake: Bucket, dataset: str, batch_id: str) -> Commit:
    """The commit of one batch.

    Raises:
        FileNotFoundError: it is not published.
        CommitTooNew, CommitUnreadable: as `Commit.from_json` does.
    """
    import obstore

    key = commit_key(dataset, batch_id)
    return Commit.from_json(bytes(obstore.get(lake, key).bytes()), key)


def read_commits(lake: Bucket, dataset: str) -> Commits:
    """Every published batch of the dataset, and what could not be read. Costs a request a batch."""
    import obstore

    keys = [str(entry["path"]) for page in obstore.list(lake, prefix=commits_prefix(dataset)) for entry in page]
    readable, unreadable = [], {}
    with ThreadPoolExecutor(READERS) as readers:
        for key, found in readers.map(lambda key: (key, _read(lake, key)), _of_commits(keys)):
            if isinstance(found, Commit):
                readable.append(found)
            elif found:
                unreadable[key] = found
    return Commits(sorted(readable, key=lambda c: c.order), unreadable)


def list_commits(lake: Bucket, dataset: str) -> list[Commit]:
    """Every published batch by its data's time, oldest first; one that can't be read is left out, with a warning."""
    found = read_commits(lake, dataset)
    for reason in found.unreadable.values():
        log.warning("left out: %s", reason)
    return found.readable


def _read(lake: Bucket, key: str) -> Commit | str:
    """The commit, or why it can't be read; an empty string for one that was deleted meanwhile."""
    import obstore

    try:
        return Commit.from_json(bytes(obstore.get(lake, key).bytes()), key)
    except FileNotFoundError:
        return ""
    except (CommitTooNew, CommitUnreadable) as error:
        return str(error)


def _of_commits(keys: Iterable[str]) -> list[str]:
    return [key for key in keys if key.endswith(".json")]


def _known(kind: type, said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that this release knows."""
    return {f.name: said[f.name] for f in fields(kind) if f.name in said}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
