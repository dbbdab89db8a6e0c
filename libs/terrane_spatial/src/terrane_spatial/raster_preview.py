"""A small picture of a raster, drawn from an overview in a process that lets GDAL see nothing but the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from terrane_spatial import child_process, gdal_settings
from terrane_spatial.confinement import confine, program_folders
from terrane_spatial.errors import StepError
from terrane_spatial.gdal_child import limit
from terrane_spatial.raster import Cog

SIDE_PX = 512
WALL_S = 120
LIMITS = {"RLIMIT_CPU": WALL_S, "RLIMIT_AS": 4 << 30, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
# What is darker or brighter than this share of the pixels is drawn black or white.
DARKEST, BRIGHTEST = 2, 98


def draw(cog: Cog) -> bytes:
    """The PNG: the first three bands as colours, or the first as grey; what is nodata is transparent."""
    try:
        environment = gdal_settings.raster_environment("GTiff")
        done = child_process.ask("terrane_spatial.raster_preview", {"path": str(cog.path)}, environment, WALL_S)
    except subprocess.TimeoutExpired:
        raise StepError(
            f"{cog.path.name}: drawing its preview took longer than {WALL_S} s; re-execute the run"
        ) from None
    if done.returncode:
        said = child_process.last_line(done.stderr)
        raise StepError(f"{cog.path.name}: its preview could not be drawn ({done.returncode}): {said}; report this")
    return done.stdout


def main() -> int:
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    path = Path(json.load(sys.stdin)["path"])
    limit(LIMITS)
    confine([*program_folders(), path.parent], [])
    _paint(path).save(output, "PNG", optimize=True)
    output.close()
    return 0


def _paint(path: Path) -> Any:
    import numpy as np
    import rasterio
    from PIL import Image

    with rasterio.open(path, driver="GTiff") as source:
        scale = max(source.width, source.height) / SIDE_PX
        height, width = (max(1, round(side / max(scale, 1))) for side in (source.height, source.width))
        shown = [1, 2, 3] if source.count >= 3 else [1]
        values = source.read(shown, out_shape=(len(shown), height, width), masked=True)
        colours = _colours(source) if len(shown) == 1 else None
    seen = ~np.ma.getmaskarray(values).any(axis=0) & np.isfinite(values.filled(0)).all(axis=0)
    if colours is not None:
        rgb = colours[np.clip(values.filled(0)[0], 0, 255).astype(np.uint8)]
    else:
        bands = [_stretched(np.asarray(band.filled(0)), seen) for band in values]
        rgb = np.stack(bands * 3 if len(bands) == 1 else bands, axis=-1)
    return Image.fromarray(np.concatenate([rgb, np.where(seen, 255, 0).astype(np.uint8)[..., None]], axis=-1), "RGBA")


def _colours(source: Any) -> Any:
    """The band's colour table as 256 rows of red, green and blue; None where it has none."""
    import numpy as np

    try:
        table = source.colormap(1)
    except ValueError:
        return None
    return np.array([table.get(value, (0, 0, 0, 0))[:3] for value in range(256)], np.uint8)


def _stretched(band: Any, seen: Any) -> Any:
    """The band as bytes; values of one byte as they are, others between their darkest and brightest pixels."""
    import numpy as np

    if band.dtype == np.uint8:
        return band
    if not seen.any():
        return np.zeros(band.shape, np.uint8)
    low, high = np.percentile(band[seen].astype(np.float64), [DARKEST, BRIGHTEST])
    spread = np.where(seen, (band.astype(np.float64) - low) / ((high - low) or 1), 0)
    return (np.clip(spread, 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
