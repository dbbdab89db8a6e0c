"""Importing GDAL's libraries without what they would bring along: only processes that use GDAL do.

They are imported where they are used: a process waits for its request with neither, and GDAL reads its settings first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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


def import_pyogrio() -> Any:
    """pyogrio without what it would import if it could, and this process seldom uses: half of its CPU time."""
    with without("geopandas", "pandas", "shapely", "pyproj"):
        import pyogrio
        import pyogrio.errors

    return pyogrio


def import_rasterio() -> Any:
    """rasterio without the client of a store in a cloud, which it imports if it can: a third of its time."""
    with without("boto3"):
        import rasterio
        import rasterio._err
        import rasterio.crs
        import rasterio.errors
        import rasterio.shutil
        import rasterio.warp
    return rasterio
