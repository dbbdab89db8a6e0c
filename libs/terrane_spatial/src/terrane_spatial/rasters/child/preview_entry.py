"""The process that draws a raster's preview: started with a clean environment and limits, it writes one PNG.

Its request has the path. The work is imported where it is used: numpy and GDAL make threads, which would go on
unconfined.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terrane_spatial.sandbox.child_main import main


def draw(request: dict[str, Any], output: Any) -> None:
    from terrane_spatial.rasters.child.preview import paint

    paint(Path(request["path"])).save(output, "PNG", optimize=True)


if __name__ == "__main__":
    main(lambda: (draw, {}))
