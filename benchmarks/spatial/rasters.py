"""Making a raster a cloud-optimised GeoTIFF with overviews: ours, and Debian's `gdal_translate -of COG`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from benchmarks.spatial.processes import Run, call, run

SIDE = 6000
STRIP = 500


def write_terrain(path: Path) -> Path:
    """A GeoTIFF of 6000 x 6000 heights (float32, 144 MB, not compressed) of hills with noise, in UTM."""
    import numpy as np
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    random = np.random.default_rng(11)
    profile = {
        "driver": "GTiff",
        "width": SIDE,
        "height": SIDE,
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:32633",
        "transform": from_origin(500_000, 5_400_000, 10, 10),
        "tiled": True,
        "nodata": -9999,
    }
    with rasterio.open(path, "w", **profile) as sink:
        for top in range(0, SIDE, STRIP):
            y, x = np.mgrid[top : top + STRIP, 0:SIDE]
            heights = 800 + 300 * np.sin(x / 130) * np.cos(y / 170) + random.normal(0, 0.5, x.shape)
            # Centimetres, as surveys have them.
            sink.write(heights.round(2).astype(np.float32), 1, window=Window(0, top, SIDE, STRIP))  # type: ignore[call-arg]
    return path


def ours(source: Path, target: Path) -> Run:
    """`to_cog`, as a step calls it: in its own confined process, statistics of the bands included."""
    target.unlink(missing_ok=True)
    return call("rasters:ours_inside", os.environ, source=str(source), target=str(target))


def ours_inside(source: str, target: str) -> dict[str, Any]:
    from terrane_spatial.rasters import cog_writer

    # A step does this while it fetches the file.
    cog_writer.prepare()
    begun = time.perf_counter()
    cog = cog_writer.to_cog(Path(source), "b/terrain.tif", Path(target))
    return {"seconds": time.perf_counter() - begun, "overviews": len(cog.overviews)}


def gdal_translate(source: Path, target: Path) -> Run:
    """Debian's, with the same compression, tiles, resampling and threads."""
    from terrane_spatial.rasters.child.cog import COG_OPTIONS

    target.unlink(missing_ok=True)
    names = ("COMPRESS", "PREDICTOR", "BLOCKSIZE", "OVERVIEWS", "NUM_THREADS", "BIGTIFF", "SPARSE_OK")
    options = [f"{name}={COG_OPTIONS[name]}" for name in names] + ["RESAMPLING=AVERAGE"]
    flags = [part for option in options for part in ("-co", option)]
    return run(["gdal_translate", "-q", "-of", "COG", *flags, str(source), str(target)], os.environ)
