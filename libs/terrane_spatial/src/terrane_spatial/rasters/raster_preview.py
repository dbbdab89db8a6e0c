"""A small picture of a raster, drawn from an overview in a process that lets GDAL see nothing but the file."""

from __future__ import annotations

import subprocess

from terrane_spatial.errors import StageError
from terrane_spatial.rasters.cog_writer import Cog
from terrane_spatial.sandbox import child_process, gdal_settings

WALL_S = 120
LIMITS = {"RLIMIT_CPU": WALL_S, "RLIMIT_AS": 4 << 30, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}


def draw(cog: Cog) -> bytes:
    """The PNG: the first three bands as colours, or the first as grey; what is nodata is transparent."""
    try:
        environment = gdal_settings.raster_environment("GTiff")
        done = child_process.ask(
            "terrane_spatial.rasters.child.preview_entry",
            {"path": str(cog.path), "limits": LIMITS, "readable": [str(cog.path.parent)]},
            environment,
            WALL_S,
        )
    except subprocess.TimeoutExpired:
        raise StageError(
            f"{cog.path.name}: drawing its preview took longer than {WALL_S} s; re-execute the run"
        ) from None
    if done.returncode:
        said = child_process.last_line(done.stderr)
        raise StageError(f"{cog.path.name}: its preview could not be drawn ({done.returncode}): {said}; report this")
    return done.stdout
