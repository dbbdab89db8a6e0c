"""A picture of a raster, from one of its overviews."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image

SIDE_PX = 512
# What is darker or brighter than this share of the pixels is drawn black or white.
DARKEST, BRIGHTEST = 2, 98


def paint(path: Path) -> Any:
    """The first three bands as colours, or the first as grey; what is nodata is transparent."""
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
    try:
        table = source.colormap(1)
    except ValueError:
        return None
    return np.array([table.get(value, (0, 0, 0, 0))[:3] for value in range(256)], np.uint8)


def _stretched(band: Any, seen: Any) -> Any:
    """The band as bytes; values of one byte as they are, others between their darkest and brightest pixels."""
    if band.dtype == np.uint8:
        return band
    if not seen.any():
        return np.zeros(band.shape, np.uint8)
    low, high = np.percentile(band[seen].astype(np.float64), [DARKEST, BRIGHTEST])
    spread = np.where(seen, (band.astype(np.float64) - low) / ((high - low) or 1), 0)
    return (np.clip(spread, 0, 1) * 255).astype(np.uint8)
