"""What a run and the process that reads a file both know: what is said and what is met of a layer."""

from __future__ import annotations

import glob
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrane_spatial.reading.reference_system import System

# What tables of a run, and what is published, call the column of geometries.
GEOMETRY = "geometry"
# What the values of a column of times are taken for: instants, local times, or text.
ZONED, LOCAL, TEXT = "zoned", "local", "text"
# For all columns of a layer.
EVERY = "*"


@dataclass(frozen=True)
class Layer:
    """What a file says of a layer, which need not be so.

    Attributes:
        system: its reference system; None when it does not say.
        encoding: of its text.
        geometry_type: of all its geometries.
        features: how many; -1 when it does not say.
        left_out: columns that are not read: further geometries, and what only repeats the geometry.
        confined: what the kernel kept from the process that read it.
        key: the column that numbers its rows, where its format has one; `key_hidden` where it is no column of its own.
        by_hand: what was met when it was read by hand; None when it was not.
        brought_from: what its own system calls itself, when coordinates were brought to EPSG:4326 while it was read.
        told: what is to be told of it, by what it is.
    """

    layer: str
    driver: str
    system: System | None
    encoding: str | None
    geometry_type: str | None
    geometry_column: str
    features: int = -1
    left_out: tuple[str, ...] = ()
    confined: tuple[str, ...] = ()
    key: str | None = None
    key_hidden: bool = False
    by_hand: dict[str, Any] | None = None
    brought_from: str | None = None
    told: dict[str, str] = field(default_factory=dict)


COUNTED = ("counts", "types", "rejected", "systems", "warnings", "failures")


@dataclass
class Met:
    """What was met in a layer's geometries.

    Attributes:
        rows: that the file has, the rejected among them.
        counts: geometries by what was found: null, empty, with heights.
        types: geometries by type.
        rejected: rows taken out, by reason.
        unfinished: of curves, and of those not brought to two dimensions, which PostGIS has to mend.
        systems: geometries by the number of the reference system that they name themselves.
        warnings, failures: what GDAL said while it read, by message.
    """

    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    systems: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    unfinished: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Met:
        counters = {name: Counter(told[name]) for name in COUNTED}
        return cls(rows=told["rows"], unfinished=told["unfinished"], **counters)


def size_of(path: Path) -> int:
    """Bytes of a file with those of its stem beside it, or of all in a geodatabase's folder."""
    parts = path.iterdir() if path.is_dir() else path.parent.glob(f"{glob.escape(path.stem)}.*")
    return sum(part.stat().st_size for part in parts)
