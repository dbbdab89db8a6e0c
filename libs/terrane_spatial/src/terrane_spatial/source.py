"""What the process that reads a file is told of it, what it finds in it, and how it refuses it."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WKB_EXTENSIONS = ("geoarrow.wkb", "ogc.wkb")


class RefusedError(Exception):
    """The file cannot be read, for a reason its producer should see."""


@dataclass(frozen=True)
class Source:
    """A file to open.

    Attributes:
        driver: GDAL's name of the one driver that may; empty for GeoParquet.
        title: of the format, for people.
        layer: the one that is wanted, where there are several.
        encoding: of its text, where it does not say.
        options: the driver's open options.
        times: kinds of columns of times, where an earlier try told; see `times`.
    """

    path: str
    driver: str
    title: str
    layer: str | None
    encoding: str | None
    options: dict[str, str]
    times: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Opened:
    """A layer that is open.

    Attributes:
        facts: what the reading side is told of it: `gdal_reader.Layer`, with `crs` still as the file has it.
        schema: of its batches.
        batches: to be read once.
    """

    facts: dict[str, Any]
    schema: Any
    batches: Iterator[Any]


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Makes modules impossible to import inside, for libraries that import what is there and do without what is not."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def size_of(path: Path) -> int:
    """Bytes of a file with those of its stem beside it, or of all in a geodatabase's folder."""
    parts = path.iterdir() if path.is_dir() else path.parent.glob(f"{glob.escape(path.stem)}.*")
    return sum(part.stat().st_size for part in parts)


def is_wkb(field: Any) -> bool:
    """Whether an Arrow field is marked as WKB."""
    name = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
    return name in WKB_EXTENSIONS or getattr(field.type, "extension_name", "") in WKB_EXTENSIONS
