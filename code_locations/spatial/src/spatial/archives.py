"""Taking a file out of a zip archive without trusting it: not its names, not its sizes, not what it claims to hold."""

from __future__ import annotations

import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from spatial.errors import BatchRejectedError

CHUNK = 1 << 16
NESTED = frozenset({".zip", ".gz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz", ".zst"})
SIDECARS = frozenset(
    {".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx", ".qix", ".qpj", ".xml", ".txt", ".html", ".md", ".pdf"}
)
MAIN = frozenset({".shp", ".gpkg", ".geojson", ".json", ".geojsonl", ".fgb", ".gml", ".kml", ".csv"})
SIDECARS = frozenset({".shx", ".dbf", ".prj", ".cpg"})


@dataclass(frozen=True)
class Limits:
    """Bounds of an archive: members, bytes when extracted, and how many times its own size that may be."""

    members: int = 1000
    total_bytes: int = 8 << 30
    ratio: int = 200
    ratio_free_bytes: int = 10 << 20


DEFAULT_LIMITS = Limits()


def extract(archive: Path, folder: Path, stem: str, name: str, limits: Limits = DEFAULT_LIMITS) -> Path:
    """Extracts the archive's one spatial file, with what belongs to it, under names of our choice.

    Args:
        archive: a zip file.
        folder: where the files go, as `<stem>.<suffix>`.
        name: what to call the archive in messages.

    Returns:
        The path of the spatial file.

    Raises:
        BatchRejectedError: the archive is none, is hostile, or does not hold exactly one spatial file.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not m.is_dir() and not _is_finders(m.filename)]
            _refuse(name, members, archive.stat().st_size, limits)
            main = _the_spatial_file(name, members)
            budget = limits.total_bytes
            for member in members:
                path = PurePosixPath(member.filename)
                if path.with_suffix("") == PurePosixPath(main.filename).with_suffix("") and (
                    member is main or path.suffix.lower() in SIDECARS
                ):
                    budget -= _write(opened, member, folder / f"{stem}{path.suffix.lower()}", name, budget)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
        raise BatchRejectedError(f"{name} is no zip archive that can be read: {error}") from None
    return folder / f"{stem}{PurePosixPath(main.filename).suffix.lower()}"


def _is_finders(name: str) -> bool:
    """Whether the member is one that macOS puts beside a file to keep its attributes."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith("._")


def _refuse(name: str, members: list[zipfile.ZipInfo], archive_bytes: int, limits: Limits) -> None:
    if len(members) > limits.members:
        raise BatchRejectedError(f"{name} has {len(members)} members; at most {limits.members} are taken")
    total = sum(m.file_size for m in members)
    allowed = max(limits.ratio_free_bytes, archive_bytes * limits.ratio)
    if total > min(limits.total_bytes, allowed):
        raise BatchRejectedError(
            f"{name} says it holds {total} bytes in an archive of {archive_bytes}; "
            f"at most {limits.ratio} times its size and {limits.total_bytes} bytes are taken"
        )
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename or "\0" in member.orig_filename:
            raise BatchRejectedError(
                f"{name}: member {member.filename!r} leads out of the archive; nothing was extracted"
            )
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind and kind != stat.S_IFREG:
            raise BatchRejectedError(f"{name}: member {member.filename!r} is a link or a device, not a file")
        if member.flag_bits & 0x1:
            raise BatchRejectedError(f"{name}: member {member.filename!r} is encrypted")
        if path.suffix.lower() in NESTED:
            raise BatchRejectedError(
                f"{name}: member {member.filename!r} is an archive itself; send its files in one archive"
            )


def _the_spatial_file(name: str, members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    mains = [m for m in members if PurePosixPath(m.filename).suffix.lower() in MAIN]
    if len(mains) != 1:
        found = ", ".join(sorted(m.filename for m in mains)) or "none"
        raise BatchRejectedError(f"{name} must hold one spatial file ({', '.join(sorted(MAIN))}), and holds: {found}")
    return mains[0]


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, name: str, budget: int) -> int:
    """Extracts one member, counting what really comes out; returns the bytes."""
    written, allowed = 0, min(budget, member.file_size)
    with opened.open(member) as source, target.open("xb") as sink:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > allowed:
                raise BatchRejectedError(f"{name}: member {member.filename!r} is larger than the archive says")
            sink.write(chunk)
    return written
