"""A layer that is open in the process that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Postgres has room for 1,600 in a table, and needs some itself.
MAX_COLUMNS = 1500
WKB_EXTENSIONS = ("geoarrow.wkb", "ogc.wkb")


class ByHandError(Exception):
    """GDAL would change something of the file, so it is to be read by hand; the message says why."""


@dataclass(frozen=True)
class Opened:
    """A layer that is open.

    Attributes:
        facts: what the reading side is told of it: `layer.Layer`, with `crs` still as the file has it.
        schema: of its batches.
        batches: to be read once.
    """

    facts: dict[str, Any]
    schema: Any
    batches: Iterator[Any]


def is_wkb(field: Any) -> bool:
    """Whether an Arrow field is marked as WKB."""
    name = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
    return name in WKB_EXTENSIONS or getattr(field.type, "extension_name", "") in WKB_EXTENSIONS
