"""Further formats of what is published: FlatGeobuf and PMTiles, written by GDAL in a process of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from terrane_spatial.errors import StageError
from terrane_spatial.publishing.geoparquet import BBOX, Written
from terrane_spatial.publishing.postgis_export import EPSG
from terrane_spatial.sandbox import child_process, gdal_settings

WALL_S = 3600
LIMITS = {"RLIMIT_CPU": 2 * WALL_S, "RLIMIT_AS": 8 << 30, "RLIMIT_FSIZE": 64 << 30, "RLIMIT_CORE": 0}
MAX_ZOOM = 8
# Where libraries put what they hold for a while: where the kernel lets them.
TEMPORARY = ("TMPDIR", "SQLITE_TMPDIR", "CPL_TMPDIR")


@dataclass(frozen=True)
class Export:
    """How GDAL writes a format.

    Attributes:
        suffix: of the file's name, with its dot.
        drivers: GDAL's driver of the format, and those that it works with.
        dataset_options: of GDAL's driver; https://gdal.org/en/stable/drivers/vector/
    """

    suffix: str
    drivers: tuple[str, ...]
    dataset_options: Mapping[str, str] = field(default_factory=dict)


# A tile of zoom 8 is about 100 km wide at middle latitudes; browsers draw it larger, and tiles take four times as long
# to make with each further zoom.
EXPORTS = {
    "flatgeobuf": Export(".fgb", ("FlatGeobuf",)),
    "pmtiles": Export(".pmtiles", ("PMTiles", "SQLite"), {"MINZOOM": "0", "MAXZOOM": str(MAX_ZOOM)}),
}


def write(name: str, table: Written, layer: str) -> Path:
    """Writes the table beside its GeoParquet file in the format of that name; returns the file.

    Raises StageError when GDAL cannot write it, or takes more than the limits.
    """
    export = EXPORTS[name]
    target = table.path.with_suffix(export.suffix)
    folder = [str(target.parent)]
    request = {
        "source": str(table.path),
        "target": str(target),
        "driver": export.drivers[0],
        "layer": layer,
        # What is cut at 180 degrees becomes several parts.
        "geometry_type": table.geometry_types[0] if len(table.geometry_types) == 1 and name != "pmtiles" else "Unknown",
        "dataset_options": {**export.dataset_options, **({"NAME": layer} if name == "pmtiles" else {})},
        "layer_options": {},
        "epsg": EPSG,
        "bbox": BBOX,
        "wrap": name == "pmtiles",
        "limits": LIMITS,
        "readable": folder,
        "writable": folder,
    }
    try:
        done = child_process.ask(
            "terrane_spatial.publishing.extra_formats_child",
            request,
            gdal_settings.environment(*export.drivers) | dict.fromkeys(TEMPORARY, folder[0]),
            WALL_S,
        )
    except subprocess.TimeoutExpired:
        raise StageError(f"{target.name}: writing it took longer than {WALL_S} s; {_advice(name)}") from None
    if done.returncode:
        said = child_process.last_line(done.stderr)
        raise StageError(f"{target.name}: GDAL could not write it ({done.returncode}): {said}; {_advice(name)}")
    return target


def _advice(name: str) -> str:
    return f"take {name} out of the dataset's exports, or simplify the table before, then re-execute the run"
