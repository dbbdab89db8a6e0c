"""A raster made a cloud-optimised GeoTIFF (cogeo.org), by the process of `rasters.child`."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from terrane_spatial import antimeridian
from terrane_spatial.errors import BatchRejectedError, StageError
from terrane_spatial.files.formats import Format, of_path
from terrane_spatial.sandbox import child_process, endings, gdal_settings
from terrane_spatial.sandbox.control import control_file
from terrane_spatial.sandbox.protocol import REFUSED, Limits

WRITING_DRIVERS = ("COG", "GTiff", "MEM")
# Pixels of all bands, decoded; and how many times the file's own size that may be beyond the first of them: no
# compression of a photograph or a terrain comes near it, only a file made to be a bomb.
MAX_DECODED_BYTES = 16 << 30
FREE_DECODED_BYTES = 256 << 20
MAX_RATIO = 1000
MEMORY_BYTES = 6 << 30
WALL_S, CPU_S = 300, 600
BYTES_PER_S = 2_000_000


@dataclass(frozen=True)
class Band:
    """One band.

    Attributes:
        nodata: the value that is none; None where every value is one.
        minimum, maximum, mean, stddev: of an overview, so nearly the band's; None where all is nodata.
        scale, offset: what pixels are multiplied by, and what is added then, to have values in the unit.
    """

    name: str
    dtype: str
    nodata: float | None
    unit: str | None
    minimum: float | None
    maximum: float | None
    mean: float | None
    stddev: float | None
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Cog:
    """What was written.

    Attributes:
        driver: that read the source.
        epsg: the number of its reference system; None for one that has none, and then `wkt` alone tells it.
        transform: six numbers from column and row to coordinates, as `a, b, c, d, e, f` of an affine transformation.
        bounds: xmin, ymin, xmax, ymax in its own system, however it is turned.
        bounds_4326: west, south, east, north in degrees, from -180 to 180; west is greater where it crosses 180.
        overviews: by how much each is smaller than the whole.
        decoded_bytes: of the pixels of all bands.
    """

    path: Path
    driver: str
    width: int
    height: int
    epsg: int | None
    wkt: str
    transform: tuple[float, ...]
    bounds: tuple[float, float, float, float]
    bounds_4326: tuple[float, float, float, float]
    block: tuple[int, int]
    overviews: tuple[int, ...]
    compression: str
    decoded_bytes: int
    bands: tuple[Band, ...]


def prepare() -> None:
    """Does once in a process what the first raster would wait for: a fifth of a second, had while it is fetched."""
    gdal_settings.registered(gdal_settings.LIST_RASTER_DRIVERS)


@dataclass(frozen=True)
class Wanted:
    """What manifest and dataset say of a raster.

    Attributes:
        crs: `EPSG:n` by the manifest, where the file does not say.
        layer: the variable of a netCDF file or the page of a TIFF, needed only where there are several.
        categories: whether values are codes, which have no average; of a band with colours of its own that is so.
    """

    crs: str | None = None
    layer: str | None = None
    categories: bool = False


def to_cog(path: Path, name: str, target: Path, wanted: Wanted | None = None, limits: Limits | None = None) -> Cog:
    """Writes the raster as a cloud-optimised GeoTIFF: DEFLATE with a predictor, tiles of 512, overviews.

    Every pixel is what it was; overviews are averages, or the nearest pixel of categories.

    Args:
        path: an absolute path we chose, of a regular file; its suffix is its format's.
        name: what to call the file in messages.
        target: in a folder of its own, beside which temporary files may be written.
        limits: what it may cost; by the file's size unless given.

    Raises:
        BatchRejectedError: the raster cannot be read, is not placed on Earth, or is larger than it may be.
        StageError: the process ended otherwise; CrashedError where the file may have caused that.
    """
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{path} is no regular file")
    kind, size = of_path(path), path.stat().st_size
    allowed = min(MAX_DECODED_BYTES, max(FREE_DECODED_BYTES, size * MAX_RATIO))
    limits = limits or Limits(
        wall_s=WALL_S + allowed / BYTES_PER_S / 10,
        cpu_s=CPU_S + allowed // BYTES_PER_S,
        memory_bytes=MEMORY_BYTES,
        written_bytes=2 * allowed + FREE_DECODED_BYTES,
    )
    request = {
        "path": str(path),
        "target": str(target),
        "driver": kind.driver,
        "title": kind.title,
        "name": name,
        **asdict(wanted or Wanted()),
        "decoded_bytes": allowed,
        "limits": limits.of_process(),
        "readable": [str(path.parent)],
        "writable": [str(target.parent)],
    }
    try:
        return _cog(target, _told_by_child(request, limits, name))
    except (BatchRejectedError, StageError):
        for left in target.parent.glob(f"{target.name}*"):
            left.unlink()
        raise


def convert_control(kind: Format) -> None:
    """Converts the control file of the format. Raises what `to_cog` raises."""
    with control_file(kind) as path, tempfile.TemporaryDirectory() as folder:
        to_cog(path, f"the control file of {kind.title}", Path(folder) / "control.tif", Wanted("EPSG:4326"))


def _told_by_child(request: dict[str, Any], limits: Limits, name: str) -> dict[str, Any]:
    try:
        environment = gdal_settings.raster_environment(request["driver"], *WRITING_DRIVERS)
        done = child_process.ask(
            "terrane_spatial.rasters.child.cog_entry", request, environment, limits.wall_s, errors=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise endings.took_too_long(name, "converting", limits.wall_s) from None
    if done.returncode == 0:
        return json.loads(done.stdout)
    if done.returncode == REFUSED:
        raise BatchRejectedError(f"{name}: {json.loads(done.stdout)['refused']}")
    raise endings.failure(name, "converting", done.returncode, done.stdout.decode(errors="replace").strip())


def _cog(target: Path, told: dict[str, Any]) -> Cog:
    lists = ("transform", "bounds", "bounds_4326", "block", "overviews")
    bands = tuple(Band(**band) for band in told["bands"])
    box = antimeridian.wrapped(tuple(told["bounds_4326"]))
    return Cog(
        **{**told, **{name: tuple(told[name]) for name in lists}, "path": target, "bands": bands, "bounds_4326": box}
    )
