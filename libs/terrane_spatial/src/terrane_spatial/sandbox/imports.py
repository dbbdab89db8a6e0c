"""Importing GDAL's libraries without what they would bring along: only processes that use GDAL do."""

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


class _Forbidden:
    """A finder that finds nothing, and says so of some modules before others are asked."""

    def __init__(self, *modules: str):
        self._modules = modules

    def find_spec(self, name: str, *_: object) -> None:
        if name in self._modules:
            raise ModuleNotFoundError(name)


def forbid(*modules: str) -> None:
    """Makes modules impossible to import in this process: Arrow would import pandas to make an array of a list."""
    sys.meta_path.insert(0, _Forbidden(*modules))  # type: ignore[arg-type]


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
