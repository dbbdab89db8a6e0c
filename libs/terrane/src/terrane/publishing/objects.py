"""Data objects: uploading and downloading them with their hashes, and whether the store keeps what it took first.

obstore is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from terrane.object_store import put
from terrane.publishing.commits import PublishedObject

if TYPE_CHECKING:
    from terrane.object_store import Bucket

READ_SIZE = 1 << 20


class CommitsAreOverwritten(RuntimeError):
    """The object store lets a second put-if-absent win."""


@dataclass(frozen=True)
class Content:
    """What becomes one object: a local file, or bytes. Hashed once, whoever wants to know."""

    source: Path | bytes
    size: int
    sha256: str

    @classmethod
    def of(cls, source: Path | bytes | Content) -> Content:
        if isinstance(source, Content):
            return source
        if isinstance(source, bytes):
            return cls(source, len(source), hashlib.sha256(source).hexdigest())
        return cls(source, source.stat().st_size, _digest(source))


def upload(lake: Bucket, key: str, name: str, source: Path | bytes | Content) -> PublishedObject:
    """Writes one object. Raises StoreFull when the store has no room."""
    content = Content.of(source)
    put(lake, key, content.source)
    return PublishedObject(name, key, content.size, content.sha256)


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


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(READ_SIZE):
            yield chunk
