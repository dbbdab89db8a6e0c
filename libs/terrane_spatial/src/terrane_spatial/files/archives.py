"""Taking a file out of a zip archive without trusting it: not its names, not its sizes, not what it claims to hold."""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files.formats import BY_NAME, Format, titles
from terrane_spatial.files.sniffing import GDB_TABLE, HEAD_BYTES, is_zip, sniff

CHUNK = 1 << 16
NESTED = frozenset({".zip", ".kmz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz", ".zst"})
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
GDB_MEMBER = re.compile(r"(a[0-9a-f]{8}\.[A-Za-z0-9_.-]{1,80}|gdb|timestamps)\Z", re.IGNORECASE)
UNREADABLE = (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, UnicodeError, struct.error, OverflowError)

# APPNOTE.TXT of the zip format, 4.3.14 and 4.3.16: the records that end an archive.
END, END_BYTES, MAX_COMMENT = b"PK\x05\x06", 22, 1 << 16
END_64, END_64_BYTES = b"PK\x06\x06", 56


@dataclass(frozen=True)
class Limits:
    """Bounds of an archive: members, bytes when extracted, times its own size that may be, and bytes of its index."""

    members: int = 1000
    total_bytes: int = 8 << 30
    ratio: int = 200
    ratio_free_bytes: int = 10 << 20
    index_bytes: int = 4 << 20


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Found:
    """A spatial file in an archive: its member, or for a geodatabase its folder, and its format by content."""

    path: PurePosixPath
    format: Format


def extract(archive: Path, target: Path, name: str, formats: Sequence[Format], limits: Limits = DEFAULT_LIMITS) -> Path:
    """Extracts the archive's one spatial file, with what belongs to it, under names of our choice.

    Args:
        archive: a zip file.
        target: where the files go, but for the suffix, which is the format's.
        name: what to call the archive in messages.
        formats: of which the file must be.

    Returns:
        The path of the spatial file, or of a geodatabase's folder.

    Raises:
        BatchRejectedError: the archive is none, is hostile, or does not hold exactly one file of those formats.
    """
    try:
        _refuse_index(archive, name, limits)
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not m.is_dir() and not _is_finders(m.filename)]
            _refuse(name, members, archive.stat().st_size, limits)
            found = _the_spatial_file(opened, name, members, formats)
            targets = _targets(found, members, target, name)
            budget = limits.total_bytes
            for path, member in targets.items():
                path.parent.mkdir(exist_ok=True)
                budget -= _write(opened, member, path, name, budget)
    except UNREADABLE as error:
        raise BatchRejectedError(f"{name} is no zip archive that can be read: {error}") from None
    missing = [part for part in found.format.needs if not _with(target, part).exists()]
    if missing:
        raise BatchRejectedError(f"{name}: {found.path} is not whole without its file {', '.join(missing)}")
    return _with(target, found.format.suffix)


def _with(target: Path, suffix: str) -> Path:
    return target.parent / f"{target.name}{suffix}"


def _is_finders(name: str) -> bool:
    """Whether the member is one that macOS puts beside a file to keep its attributes."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith("._")


def _refuse_index(archive: Path, name: str, limits: Limits) -> None:
    """Refuses an index that is too large to be read: the library would hold all of it in memory."""
    size = archive.stat().st_size
    with archive.open("rb") as opened:
        opened.seek(max(0, size - END_BYTES - MAX_COMMENT - END_64_BYTES - 20))
        tail = opened.read()
    at, at_64 = tail.rfind(END), tail.rfind(END_64)
    stated = [struct.unpack_from("<I", tail, at + 12)[0]] if 0 <= at <= len(tail) - END_BYTES else []
    if 0 <= at_64 <= len(tail) - END_64_BYTES:
        stated.append(struct.unpack_from("<Q", tail, at_64 + 40)[0])
    if any(limits.index_bytes < number != 0xFFFFFFFF for number in stated):
        raise BatchRejectedError(f"{name} has an index of {max(stated)} bytes; at most {limits.index_bytes} are taken")


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
        if fault := _fault(member):
            raise BatchRejectedError(f"{name}: member {member.filename!r} {fault}")


def _fault(member: zipfile.ZipInfo) -> str | None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    kind = stat.S_IFMT(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or ":" in member.filename:
        return "leads out of the archive; nothing was extracted"
    if not member.orig_filename.isprintable():
        return "has control characters in its name"
    if kind and kind != stat.S_IFREG:
        return "is a link or a device, not a file"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.compress_type not in METHODS:
        return "is packed by another method than deflate"
    if path.suffix.lower() in NESTED:
        return "is an archive itself; send its files in one archive"
    return None


def _the_spatial_file(
    opened: zipfile.ZipFile, name: str, members: list[zipfile.ZipInfo], formats: Sequence[Format]
) -> Found:
    every = _spatial_files(opened, members)
    taken = [found for found in every if found.format in formats]
    if len(taken) != 1:
        told = ", ".join(sorted(f"{f.path} ({f.format.title})" for f in taken or every)) or "none"
        raise BatchRejectedError(f"{name} must hold one spatial file, and holds: {told}; taken are {titles(formats)}")
    return taken[0]


def _spatial_files(opened: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> list[Found]:
    databases = {PurePosixPath(m.filename).parent for m in members if m.filename.lower().endswith(GDB_TABLE)}
    found = [Found(folder, BY_NAME["openfilegdb"]) for folder in sorted(databases)]
    for member in members:
        path = PurePosixPath(member.filename)
        if path.parent in databases:
            continue
        with opened.open(member) as source:
            head = source.read(HEAD_BYTES)
        if is_zip(head):
            continue
        if kind := sniff(head):
            found.append(Found(path, kind))
    return [each for each in found if not any(_is_part(each.path, other) for other in found)]


def _is_part(path: PurePosixPath, of: Found) -> bool:
    """Whether the member lies beside a spatial file as one of its parts."""
    beside = path.parent == of.path.parent and path.stem.lower() == of.path.stem.lower()
    return beside and path.suffix.lower() in of.format.parts


def _targets(found: Found, members: list[zipfile.ZipInfo], target: Path, name: str) -> dict[Path, zipfile.ZipInfo]:
    """What to write, and from which member."""
    targets: dict[Path, zipfile.ZipInfo] = {}
    for member in members:
        path = PurePosixPath(member.filename)
        if found.format.name == "openfilegdb":
            wanted = path.parent == found.path and GDB_MEMBER.match(path.name)
            written = _with(target, found.format.suffix) / path.name.lower()
        elif path == found.path:
            wanted, written = True, _with(target, found.format.suffix)
        else:
            wanted = _is_part(path, found)
            written = _with(target, path.suffix.lower())
        if not wanted:
            continue
        if written in targets:
            told = written.name.removeprefix(target.name)
            raise BatchRejectedError(f"{name} has two members that are both {told} of it")
        targets[written] = member
    return targets


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
