"""The landing zone: its manifests and markers, and fetching a batch's objects to check them.

obstore is imported where it is used: definitions import this module and know no store.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from terrane.object_store import put
from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.intake.manifest import (
    DECIDED,
    FOLDER,
    REJECTED_SUFFIX,
    SUFFIX,
    WAITING_SUFFIX,
    Manifest,
    ManifestFile,
    marker_key,
    note_key,
)

if TYPE_CHECKING:
    from terrane.object_store import Bucket

READ_SIZE = 1 << 20
# What a folder says of a key that no object can have: below a file, or with too long a part.
NO_SUCH_NAME = ("Not a directory", "File name too long")
# MinIO keeps objects in folders too, and answers 400 without a word to a HEAD of a key with a longer part. Of any other
# key 400 is a fault of ours: a region, a clock, a proxy.
MAX_PART_BYTES = 255
BAD_REQUEST = "400 Bad Request"
# How long a producer finds the answer to a manifest at its documented key.
MARKER_DAYS = 30
NEXT_STEP = "correct the batch and send it under a new batch_id; this manifest is not read again"


@dataclass(frozen=True)
class ManifestObject:
    """A manifest that lies in the landing zone.

    Attributes:
        marked: whether a marker beside it has answered it already.
    """

    key: str
    etag: str | None
    written_at: datetime
    size: int
    marked: bool = False


@dataclass(frozen=True)
class Listing:
    """What lies directly below `manifests/`.

    Attributes:
        manifests: by key.
        old_markers: keys of markers that have lain long enough to be seen.
        old_notes: keys of notes whose manifest waits no longer.
    """

    manifests: list[ManifestObject]
    old_markers: list[str]
    old_notes: list[str]


def list_new(landing: Bucket) -> Listing:
    """The manifests that were not moved yet, and old markers: costs a request a thousand of them and recent markers."""
    import obstore

    found = {str(o["path"]): o for o in obstore.list_with_delimiter(landing, prefix=FOLDER)["objects"]}
    notes = [key for key in found if key.endswith(WAITING_SUFFIX)]
    markers = [key for key in found if key.endswith(REJECTED_SUFFIX)]
    keys = sorted(key for key in found if key.endswith(SUFFIX) and not key.endswith((REJECTED_SUFFIX, WAITING_SUFFIX)))
    oldest = datetime.now(UTC) - timedelta(days=MARKER_DAYS)

    def manifest(key: str) -> ManifestObject:
        entry = found[key]
        marked = marker_key(key) in found
        return ManifestObject(key, entry.get("e_tag"), entry["last_modified"], entry["size"], marked)

    return Listing(
        [manifest(key) for key in keys],
        [key for key in markers if found[key]["last_modified"] < oldest],
        [key for key in notes if key.removesuffix(WAITING_SUFFIX) + SUFFIX not in found],
    )


def move(landing: Bucket, key: str, etag: str | None = None, again: bool = False) -> None:
    """Moves a manifest or marker below `manifests/decided/`; done twice, as after a crash between, it is the same.

    Args:
        etag: what it was when it was looked at; written anew since, it stays, and is looked at again.
        again: whether one of its batch was decided before, beside which it is put under a name of its own.
    """
    import obstore

    name = key.removeprefix(FOLDER)
    if again:
        name = f"{name.removesuffix(SUFFIX)}.{hashlib.sha256((etag or '').encode()).hexdigest()[:12]}{SUFFIX}"
    try:
        obstore.copy(landing, key, f"{DECIDED}{name}")
        if etag is None or obstore.head(landing, key).get("e_tag") == etag:
            obstore.delete(landing, key)
    except FileNotFoundError:
        return


def read(landing: Bucket, found: ManifestObject, at_most: int) -> bytes:
    """The manifest's bytes, or the first of them, of one that was listed as larger than `at_most`."""
    import obstore

    if found.size <= at_most:
        return bytes(obstore.get(landing, found.key).bytes())
    return bytes(obstore.get_range(landing, found.key, start=0, length=at_most))


def write_marker(landing: Bucket, manifest: str, sha256: str, reasons: list[str]) -> None:
    """Puts the reasons beside the manifest, unless a marker is there."""
    from obstore.exceptions import AlreadyExistsError

    content = {
        "version": 1,
        "manifest": manifest,
        "manifest_sha256": sha256,
        "rejected_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reasons": reasons,
        "next": NEXT_STEP,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False).encode()
    try:
        put(landing, marker_key(manifest), text, create=True)
    except AlreadyExistsError:
        return


def write_note(landing: Bucket, manifest: str, sha256: str, reason: str) -> None:
    """Puts beside the manifest why it waits; the note goes when the manifest does."""
    content = {"version": 1, "manifest": manifest, "manifest_sha256": sha256, "waiting": reason}
    put(landing, note_key(manifest), json.dumps(content, indent=2, ensure_ascii=False).encode())


def remove_note(landing: Bucket, key: str) -> None:
    """Deletes the note of a manifest that is decided; another location may have done so."""
    import obstore

    with contextlib.suppress(FileNotFoundError):
        obstore.delete(landing, key)


def missing_files(landing: Bucket, manifest: Manifest) -> list[str]:
    """Why the manifest's files cannot be what it says, judged by their presence and size."""
    import obstore
    from obstore.exceptions import GenericError

    reasons = []
    for number, file in enumerate(manifest.files):
        try:
            size = obstore.head(landing, file.key)["size"]
        except (FileNotFoundError, IsADirectoryError):
            size = None
        except GenericError as error:
            if not _says_no_such_name(file.key, str(error)):
                raise
            size = None
        if size is None:
            reasons.append(f"files[{number}].key: there is no object {file.key}; upload files first, the manifest last")
            continue
        if size != file.size:
            reasons.append(f"files[{number}].size: {file.key} has {size} bytes, the manifest says {file.size}")
    return reasons


def _says_no_such_name(key: str, error: str) -> bool:
    too_long = any(len(part.encode()) > MAX_PART_BYTES for part in key.split("/"))
    return any(told in error for told in NO_SUCH_NAME) or (too_long and BAD_REQUEST in error)


def download(landing: Bucket, file: ManifestFile, target: Path) -> Path:
    """Writes the object to `target`.

    Raises BatchRejectedError when it is missing, or twice is not what was promised: once may be the network's fault.
    """
    _download(landing, file, target)
    if _against(file, target):
        _download(landing, file, target)
    if reason := _against(file, target):
        raise BatchRejectedError(reason)
    return target


def _download(landing: Bucket, file: ManifestFile, target: Path) -> None:
    """Writes at most one byte more than the file should have."""
    import obstore

    try:
        stream = obstore.get(landing, file.key).stream(min_chunk_size=READ_SIZE)
    except FileNotFoundError:
        raise BatchRejectedError(f"{file.key} is not in the landing zone any more") from None
    left = file.size + 1
    with target.open("wb") as sink:
        for chunk in stream:
            sink.write(bytes(chunk)[:left])
            left -= min(left, len(chunk))
            if not left:
                break


def _against(file: ManifestFile, target: Path) -> str | None:
    """Why what was downloaded is not what the manifest says; None when it is."""
    size = target.stat().st_size
    if size != file.size:
        return f"{file.key} has {'more' if size > file.size else 'less'} bytes than {file.size}"
    with target.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != file.sha256:
        return (
            f"{file.key} has the SHA-256 {found}, the manifest says {file.sha256}: "
            "it was damaged on its way, or changed after the manifest was written"
        )
    return None
