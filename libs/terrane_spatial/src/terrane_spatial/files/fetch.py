"""From an object of the landing zone to a file that may be opened: checked, known by its content, named by us."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files import journal
from terrane_spatial.files.archives import DEFAULT_LIMITS, Limits, extract
from terrane_spatial.files.formats import Format, titles
from terrane_spatial.files.sniffing import HEAD_BYTES, is_zip, points_elsewhere, sniff
from terrane_spatial.intake import landing_zone
from terrane_spatial.intake.manifest import ManifestFile

if TYPE_CHECKING:
    from terrane.object_store import Bucket

ARRIVED = "object"


def fetch_file(
    zone: Bucket, file: ManifestFile, folder: Path, formats: Sequence[Format], limits: Limits = DEFAULT_LIMITS
) -> Path:
    """Fetches the object into the folder and makes of it the one file that is to be read.

    Args:
        folder: empty, and the reader's to see: nothing else is put there.
        formats: of which the content must be.
        limits: of an archive.

    Returns:
        `<table><suffix of its format>` in the folder; the suffix is what the content is, whatever the key says.

    Raises:
        BatchRejectedError: the object is not what the manifest says, or its content is of no such format.
    """
    return unpack(landing_zone.download(zone, file, folder / ARRIVED), file.table, file.key, formats, limits)


def unpack(arrived: Path, stem: str, name: str, formats: Sequence[Format], limits: Limits = DEFAULT_LIMITS) -> Path:
    """Names the file that arrived for its content, or takes what it holds out of it where it is an archive."""
    head = _head(arrived)
    if is_zip(head):
        path = extract(arrived, arrived.parent / stem, name, formats, limits)
        arrived.unlink()
        journal.take_in(path, name)
    else:
        found = _format(name, head, formats)
        path = arrived.rename(arrived.parent / f"{stem}{found.suffix}")
    if path.suffix == ".tab" and points_elsewhere(_head(path)):
        raise BatchRejectedError(f"{name}: this MapInfo table takes its rows from other files; send them as one table")
    return path


def _head(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.read(HEAD_BYTES)


def _format(name: str, head: bytes, formats: Sequence[Format]) -> Format:
    found = sniff(head)
    if found is None:
        raise BatchRejectedError(f"{name}: its content is of no format known here; taken are {titles(formats)}")
    if found not in formats:
        raise BatchRejectedError(
            f"{name}: its content is {found.title}, which this dataset does not take; taken are {titles(formats)}"
        )
    if found.needs:
        parts = ", ".join((found.suffix, *found.parts))
        raise BatchRejectedError(f"{name}: a {found.title} is several files ({parts}); send them in one zip archive")
    return found
