"""The process that draws a raster's preview: started with a clean environment and limits, it writes one PNG.

Its input is one JSON object: the path and the limits.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from terrane_spatial.sandbox.confinement import confine, program_folders
from terrane_spatial.sandbox.protocol import apply_limits


def main() -> int:
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    path = Path(request["path"])
    apply_limits(request["limits"])
    confine([*program_folders(), path.parent], [])
    # numpy and GDAL make threads, which would go on unconfined.
    from terrane_spatial.rasters.child.preview import paint

    paint(path).save(output, "PNG", optimize=True)
    output.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
