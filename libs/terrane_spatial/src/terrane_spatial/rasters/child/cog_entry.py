"""The process that lets GDAL convert one raster: started with a clean environment and limits, it writes one GeoTIFF.

Its input is one JSON object: paths, driver, limits, what the manifest says. Its output is one JSON object: what was
written; or `refused`, the reason why the raster cannot be, and then it exits with REFUSED. What libraries print is
thrown away: only they know how much that is.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.sandbox.confinement import confine, program_folders
from terrane_spatial.sandbox.protocol import OUT_OF_MEMORY, REFUSED, RefusedError, apply_limits


def main() -> int:
    output = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    request = json.load(sys.stdin)
    apply_limits(request["limits"])
    confine([*program_folders(), Path(request["path"]).parent], [Path(request["target"]).parent])
    # numpy and GDAL make threads, which would go on unconfined.
    from terrane_spatial.rasters.child.cog import convert

    try:
        told, code = convert(request), 0
    except (RefusedError, BatchRejectedError) as refusal:
        told, code = {"refused": str(refusal)}, REFUSED
    except MemoryError:
        told, code = {"failed": "no memory was left"}, OUT_OF_MEMORY
    json.dump(told, output)
    output.close()
    return code


if __name__ == "__main__":
    code = main()
    # Taking the interpreter and GDAL down in order takes longer than converting a small file.
    os._exit(code)
