"""Tries every raster of a folder that nobody here made, as `real_files` does with vectors, and compares its pixels.

A variable is named where a file has several, and EPSG:4326 is told of a file that says nothing. What was converted is
to be a valid cloud-optimised GeoTIFF with every pixel as rasterio reads it from the file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from real_files import Report, as_asked, sent, sniffed, tell, with_parts
from real_files_compared import NOT_COMPARED, SAME
from rio_cogeo.cogeo import cog_validate

from terrane_spatial.files.fetch import unpack
from terrane_spatial.files.formats import FORMATS, RASTER
from terrane_spatial.files.sniffing import is_zip
from terrane_spatial.rasters import cog_writer

RASTERS = [each for each in FORMATS if each.kind == RASTER]
MAX_COMPARED_BYTES = 512 << 20


def candidates(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """What a producer could send, by content: the format's title, the files that belong together."""
    for path, head, kind in sniffed(folder):
        if kind and kind.kind == RASTER and not is_zip(head):
            yield kind.title, with_parts(path, kind)


def try_all(folder: Path) -> Report:
    report = Report()
    for kind, files in candidates(folder):
        begun, path = time.monotonic(), str(files[0].relative_to(folder))
        with tempfile.TemporaryDirectory() as place:
            outcome, reason, compared = _try(Path(place), files)
        report.add(kind, path, outcome, reason, time.monotonic() - begun)
        if compared:
            report.compare(path, compared)
    return report


def _try(place: Path, files: list[Path]) -> tuple[str, str, str | None]:
    def convert(folder: Path, layer: str | None, crs: str | None) -> str:
        arrival, made = folder / "in", folder / "out"
        arrival.mkdir()
        made.mkdir()
        path = unpack(sent(arrival, files), "t", "file", RASTERS)
        return _compared(path, cog_writer.to_cog(path, "file", made / "t.tif", cog_writer.Wanted(crs, layer)), layer)

    return as_asked(place, convert, "EPSG:4326")


def _compared(path: Path, cog: cog_writer.Cog, layer: str | None) -> str:
    """SAME, or what is not as it should be."""
    valid, errors, _ = cog_validate(cog.path, strict=True, quiet=True)
    if not valid:
        return f"no cloud-optimised GeoTIFF: {'; '.join(errors)}"
    if cog.decoded_bytes > MAX_COMPARED_BYTES:
        return NOT_COMPARED
    part = f"netcdf:{path}:{layer}" if path.suffix == ".nc" else f"GTIFF_DIR:{layer}:{path}"
    with rasterio.open(part if layer else path) as source, rasterio.open(cog.path) as made:
        theirs, ours = source.read(), made.read()
        if ours.shape != theirs.shape or not np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
            return "pixels"
        return SAME if np.allclose(made.transform, source.transform, rtol=1e-9) else "transform"


def main() -> int:
    parser = argparse.ArgumentParser(description="Try real rasters: how many become COGs, and why others do not.")
    parser.add_argument("folder", type=Path)
    return tell(try_all(parser.parse_args().folder), "the file, pixel by pixel")


if __name__ == "__main__":
    sys.exit(main())
