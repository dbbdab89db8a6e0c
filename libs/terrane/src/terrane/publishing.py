"""Publishing into the lake: all of a batch becomes visible at once, once, or not at all.

Data objects go under `<dataset>/<batch_id>/<run_id>/`, where nobody looks. One small commit object,
`<dataset>/_commits/<batch_id>.json`, written only if absent, then makes them the published batch. A run that dies
before its commit leaves objects no reader sees; of runs that race for one batch, one wins. Readers list commit
objects and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane.object_store import put

if TYPE_CHECKING:
    from terrane.object_store import Bucket

COMMIT_VERSION = 1
READ_SIZE = 1 << 20


@dataclass(frozen=True)
class PublishedObject:
    """One data object of a commit: its name in the batch, its key in the bucket, its size in bytes and its SHA-256."""

    name: str
    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Commit:
    """A published batch. `summary` is what its publisher says of it: rows, CRS, bounds."""

    dataset: str
    batch_id: str
    run_id: str
    published_at: str
    objects: tuple[PublishedObject, ...]
    summary: dict[str, Any] = field(default_factory=dict)
    version: int = COMMIT_VERSION

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
    def from_json(cls, text: bytes) -> Commit:
        fields = json.loads(text)
        fields["objects"] = tuple(PublishedObject(**o) for o in fields["objects"])
        return cls(**fields)


class AlreadyPublished(Exception):
    """The batch was published before by another run, and what that run published stands."""

    def __init__(self, existing: Commit):
        self.existing = existing
        super().__init__(
            f"{existing.dataset} {existing.batch_id} was already published by run {existing.run_id} "
            f"at {existing.published_at}; a batch is published once, so send the new content under a new batch_id"
        )


class CommitsAreOverwritten(RuntimeError):
    """The object store lets a second put-if-absent win."""


def commit_key(dataset: str, batch_id: str) -> str:
    return f"{dataset}/_commits/{batch_id}.json"


def publish(
    lake: Bucket,
    dataset: str,
    batch_id: str,
    run_id: str,
    files: Mapping[str, Path | bytes],
    summary: Mapping[str, Any] | None = None,
) -> Commit:
    """Uploads the files, then commits them as the batch.

    Args:
        files: a name in the batch to a local file or to bytes.

    Returns:
        The commit. Publishing again from the same run returns the commit it made before.

    Raises:
        AlreadyPublished: another run committed this batch; the objects uploaded here are left unseen.
        StoreFull: the store has no room left; nothing is published.
    """
    from obstore.exceptions import AlreadyExistsError

    objects = tuple(
        _upload(lake, f"{dataset}/{batch_id}/{run_id}/{name}", name, source) for name, source in files.items()
    )
    commit = Commit(dataset, batch_id, run_id, datetime.now(UTC).isoformat(), objects, dict(summary or {}))
    try:
        put(lake, commit_key(dataset, batch_id), commit.to_json(), create=True)
    except AlreadyExistsError:
        existing = read_commit(lake, dataset, batch_id)
        if existing.run_id == run_id:
            return existing
        raise AlreadyPublished(existing) from None
    return commit


def read_commit(lake: Bucket, dataset: str, batch_id: str) -> Commit:
    """The commit of one batch. Raises FileNotFoundError when it is not published."""
    import obstore

    return Commit.from_json(bytes(obstore.get(lake, commit_key(dataset, batch_id)).bytes()))


def list_commits(lake: Bucket, dataset: str) -> list[Commit]:
    """Every published batch of the dataset, oldest first."""
    import obstore

    keys = [str(entry["path"]) for page in obstore.list(lake, prefix=f"{dataset}/_commits/") for entry in page]
    commits = [Commit.from_json(bytes(obstore.get(lake, key).bytes())) for key in keys if key.endswith(".json")]
    return sorted(commits, key=lambda c: (c.published_at, c.batch_id))


def download(lake: Bucket, published: PublishedObject, target: Path) -> Path:
    """Writes the object to `target` and checks it. Raises ValueError when size or hash are not what the commit says."""
    import obstore

    digest, size = hashlib.sha256(), 0
    with target.open("wb") as sink:
        for chunk in obstore.get(lake, published.key).stream(min_chunk_size=READ_SIZE):
            digest.update(chunk)
            size += len(chunk)
            sink.write(chunk)
    if (size, digest.hexdigest()) != (published.size, published.sha256):
        raise ValueError(
            f"{published.key} is not what its commit says: {size} bytes, sha256 {digest.hexdigest()}, "
            f"expected {published.size} bytes, sha256 {published.sha256}; publish the batch again under a new batch_id"
        )
    return target


def probe_put_if_absent(lake: Bucket) -> None:
    """Raises CommitsAreOverwritten when the store lets a second put-if-absent win, for then two could publish a batch.

    Raises StoreFull for a store that has no room even for this.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError

    key = f"_probes/{uuid.uuid4().hex}"
    put(lake, key, b"first", create=True)
    try:
        put(lake, key, b"second", create=True)
    except AlreadyExistsError:
        return
    finally:
        obstore.delete(lake, key)
    raise CommitsAreOverwritten(
        "the object store overwrites on put-if-absent, so two runs could both publish one batch; "
        "use a store that honours If-None-Match on PUT (MinIO, S3, a local folder)"
    )


def _upload(lake: Bucket, key: str, name: str, source: Path | bytes) -> PublishedObject:
    if isinstance(source, bytes):
        digest, size = hashlib.sha256(source).hexdigest(), len(source)
    else:
        digest, size = _digest(source), source.stat().st_size
    put(lake, key, source)
    return PublishedObject(name, key, size, digest)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(READ_SIZE):
            yield chunk
