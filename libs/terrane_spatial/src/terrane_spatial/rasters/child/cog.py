"""A raster checked and written as a cloud-optimised GeoTIFF by GDAL."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from terrane_spatial.reading.child.reference_systems import identify
from terrane_spatial.reading.reference_system import place
from terrane_spatial.sandbox.imports import import_rasterio
from terrane_spatial.sandbox.protocol import RefusedError

rasterio = import_rasterio()
BLOCK = 512
MAX_BANDS = 512
MIN_FREE_BYTES = 1 << 20
STATISTICS_PIXELS = 1024
COG_OPTIONS = {
    "COMPRESS": "DEFLATE",
    "PREDICTOR": "YES",
    "BLOCKSIZE": str(BLOCK),
    "OVERVIEWS": "IGNORE_EXISTING",
    "NUM_THREADS": "ALL_CPUS",
    "BIGTIFF": "IF_SAFER",
    "SPARSE_OK": "YES",
}


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Writes the copy that is asked for; returns what a reader finds in it. Raises RefusedError with the reason."""
    try:
        with rasterio.open(_dataset(request), driver=request["driver"]) as source:
            _check(source, request)
            system = _system(source, request)
            _write(source, request, system)
            decoded = _decoded_bytes(source)
        return {"driver": request["driver"], "decoded_bytes": decoded, **_facts(request["target"])}
    except (rasterio.errors.RasterioError, rasterio._err.CPLE_BaseError, OSError, ValueError) as error:
        if _disk_is_full(request["target"]):
            raise
        told = str(error).replace(request["path"], "the file").replace(request["target"], "its copy")
        raise RefusedError(f"GDAL cannot convert it as {request['title']}: {told}") from None


def _disk_is_full(target: str) -> bool:
    """Whether less is free than the smallest write takes: what GDAL says of a failed write does not tell why."""
    free = os.statvfs(os.path.dirname(target))
    return free.f_bavail * free.f_frsize < MIN_FREE_BYTES


def _dataset(request: dict[str, Any]) -> str:
    """What to open: the file, or what is wanted of several: a variable of netCDF, a page of TIFF; or the only one."""
    with rasterio.open(request["path"], driver=request["driver"]) as whole:
        found = {_part(name, request["path"]): name for name in whole.subdatasets}
        if not found:
            return request["path"]
    wanted = request["layer"]
    if wanted is not None and wanted not in found:
        raise RefusedError(f"it has no {_kind(request)} {wanted!r}; its {_kind(request)}s are {', '.join(found)}")
    if wanted is None and len(found) > 1:
        raise RefusedError(
            f"it has several {_kind(request)}s, {', '.join(found)}; the manifest's field layer says which is meant"
        )
    return found[wanted] if wanted is not None else next(iter(found.values()))


def _part(name: str, path: str) -> str:
    """What GDAL's name of a subdataset says beside driver and file: `NETCDF:"<path>":depth`, `GTIFF_DIR:2:<path>`."""
    return name.partition(":")[2].replace(f'"{path}"', "").replace(path, "").strip(":")


def _kind(request: dict[str, Any]) -> str:
    return "page" if request["driver"] == "GTiff" else "variable"


def _decoded_bytes(source: Any) -> int:
    return source.width * source.height * sum(np.dtype(dtype).itemsize for dtype in source.dtypes)


def _check(source: Any, request: dict[str, Any]) -> None:
    if not 1 <= source.count <= MAX_BANDS:
        raise RefusedError(f"it has {source.count} bands; from 1 to {MAX_BANDS} are taken")
    if any("complex" in dtype for dtype in source.dtypes):
        raise RefusedError("its values are complex numbers, which no map shows")
    if len(_odd_bits(source)) > 1:
        raise RefusedError("values of its bands have different numbers of bits, which no GeoTIFF can hold")
    decoded = _decoded_bytes(source)
    if decoded > request["decoded_bytes"]:
        raise RefusedError(
            f"it says it has {source.width} x {source.height} pixels in {source.count} bands, {decoded} bytes; "
            f"of a file of its size at most {request['decoded_bytes']} are taken"
        )
    if source.transform.is_identity:
        raise RefusedError("it does not say where on Earth it lies: it has no transform, nor a world file beside it")
    if source.transform.is_degenerate:
        raise RefusedError("its transform puts all pixels into one point or line")


def _odd_bits(source: Any) -> set[str | None]:
    """How many bits the values of its bands have, where that is no whole number of bytes."""
    return {source.tags(band, ns="IMAGE_STRUCTURE").get("NBITS") for band in source.indexes}


def _system(source: Any, request: dict[str, Any]) -> Any:
    """The system to write, where it is not the file's own; checked against the manifest."""
    told = identify(source.crs.to_wkt() if source.crs else None)
    if told is not None and told.epsg is None and told.definition and request["crs"] is None:
        return None
    placed = place(request["name"], told, request["crs"])
    return None if told is not None and told.epsg == placed.srid else rasterio.crs.CRS.from_epsg(placed.srid)


def _write(source: Any, request: dict[str, Any], system: Any) -> None:
    by_nearest = request["categories"] or source.colorinterp[0].name == "palette"
    options = {**COG_OPTIONS, **_fitting(source), "RESAMPLING": "NEAREST" if by_nearest else "AVERAGE"}
    if system is None:
        rasterio.shutil.copy(source, request["target"], driver="COG", **options)
        with rasterio.open(request["target"]) as made:
            system = None if made.crs else _by_number(source)
    if system is None:
        return
    placed = f"{request['target']}.placed.tif"
    _copy_placed(source, placed, system)
    rasterio.shutil.copy(placed, request["target"], driver="COG", **options)
    os.unlink(placed)


def _by_number(source: Any) -> Any:
    """The source's system as its number alone has it: what else it said, as a height, GeoTIFF could not keep."""
    told = identify(source.crs.to_wkt())
    if told is None or told.epsg is None:
        raise RefusedError("its reference system goes into no GeoTIFF; make it one with an EPSG number")
    return rasterio.crs.CRS.from_epsg(told.epsg)


def _fitting(source: Any) -> dict[str, str]:
    """Options that go with the source.

    No predictor knows odd numbers of bits. A raster that is small, or as narrow as a line, has no smaller ones; GDAL
    would take those that the source has.
    """
    levels = math.ceil(math.log2(max(1, max(source.width, source.height) / BLOCK)))
    no_smaller = levels == 0 or min(source.width, source.height) < 2**levels
    return {
        **({} if _odd_bits(source) == {None} else {"PREDICTOR": "NO"}),
        **({"OVERVIEWS": "NONE"} if no_smaller else {}),
    }


def _copy_placed(source: Any, target: str, system: Any) -> None:
    """A plain copy in the system, because a cloud-optimised file cannot be given one afterwards."""
    rasterio.shutil.copy(source, target, driver="GTiff", TILED="YES", BIGTIFF="IF_SAFER", NUM_THREADS="ALL_CPUS")
    with rasterio.open(target, "r+") as copy:
        copy.crs = system


def _facts(target: str) -> dict[str, Any]:
    """What a reader of the new file finds in it."""
    with rasterio.open(target, driver="GTiff") as made:
        system = identify(made.crs.to_wkt())
        bounds = _bounds(made)
        return {
            "width": made.width,
            "height": made.height,
            "epsg": system.epsg if system else None,
            "wkt": made.crs.to_wkt(),
            "transform": list(made.transform)[:6],
            "bounds": bounds,
            "bounds_4326": list(rasterio.warp.transform_bounds(made.crs, "EPSG:4326", *bounds)),
            "block": list(made.block_shapes[0]),
            "overviews": made.overviews(1),
            "compression": made.compression.name,
            "bands": [_band(made, number) for number in range(1, made.count + 1)],
        }


def _bounds(made: Any) -> list[float]:
    """The box around its four corners, whichever of them is its first pixel's."""
    corners = [
        made.transform * corner for corner in ((0, 0), (made.width, 0), (0, made.height), (made.width, made.height))
    ]
    xs, ys = zip(*corners, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def _band(made: Any, number: int) -> dict[str, Any]:
    shrink = max(1, max(made.width, made.height) / STATISTICS_PIXELS)
    shape = (max(1, round(made.height / shrink)), max(1, round(made.width / shrink)))
    values = made.read(number, out_shape=shape, masked=True).compressed().astype(np.float64)
    values = values[np.isfinite(values)]
    some = values.size > 0
    nodata = made.nodatavals[number - 1]
    return {
        "name": made.descriptions[number - 1] or f"band {number}",
        "dtype": made.dtypes[number - 1],
        "nodata": None if nodata is None else float(nodata),
        "unit": made.units[number - 1] or None,
        "scale": float(made.scales[number - 1]),
        "offset": float(made.offsets[number - 1]),
        "minimum": float(values.min()) if some else None,
        "maximum": float(values.max()) if some else None,
        "mean": float(values.mean()) if some else None,
        "stddev": float(values.std()) if some else None,
    }
