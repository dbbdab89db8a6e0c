"""The process that lets GDAL convert one raster: started with a clean environment and limits, it writes one GeoTIFF.

Its request has paths, driver and what the manifest says. Its output is one JSON object: what was written; or `refused`,
the reason why the raster cannot be, and then it exits with REFUSED.

The work is imported where it is used: numpy and GDAL make threads, which would go on unconfined.
"""

from __future__ import annotations

import json
from typing import Any

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.sandbox.child_main import main


def convert(request: dict[str, Any], output: Any) -> None:
    from terrane_spatial.rasters.child import cog

    output.write(json.dumps(cog.convert(request)).encode())


def prepare() -> Any:
    return convert, {BatchRejectedError: lambda refusal: {"refused": str(refusal)}}


if __name__ == "__main__":
    main(prepare, quiet=True)
