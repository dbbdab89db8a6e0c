"""What GDAL may do here: which formats it reads, and that it reaches nothing but the one file it is given.

GDAL looks at content, not at names, so a `.geojson` may be a document that points at other files; what is not
registered cannot be opened. The settings are read when GDAL is loaded, so they are the environment of the process that
reads.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys

ALLOWED = ("GPKG", "ESRI Shapefile", "GeoJSON", "GeoJSONSeq", "FlatGeobuf", "GML", "KML", "CSV")
SUFFIXES = frozenset(
    {".gpkg", ".shp", ".geojson", ".json", ".geojsonl", ".geojsonseq", ".fgb", ".gml", ".kml", ".csv", ".zip"}
)
HARDENING = {
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{noext}",
    "GDAL_HTTP_TIMEOUT": "1",
    "GDAL_HTTP_MAX_RETRY": "0",
    "GDAL_DRIVER_PATH": "disable",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_CACHEMAX": "64",
    "GML_SKIP_RESOLVE_ELEMS": "ALL",
    "GML_DOWNLOAD_SCHEMA": "NO",
    "OGR_SQLITE_LIST_VIRTUAL_OGR": "NO",
    "OGR_SQLITE_LOAD_EXTENSIONS": "",
    "OGR_GPKG_NUM_THREADS": "1",
    "PROJ_NETWORK": "OFF",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
LIST_DRIVERS = """
import json
from spatial.gdal_child import import_pyogrio
print(json.dumps(sorted(import_pyogrio().list_drivers())))
"""


@functools.cache
def environment() -> dict[str, str]:
    """All the environment of a process that reads a file: no credentials, no addresses, every other driver skipped."""
    unwanted = [name for name in _registered() if name not in ALLOWED]
    return {**_base(), **HARDENING, "OGR_SKIP": ",".join(unwanted)}


def _base() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def _registered() -> list[str]:
    """Every driver of this GDAL, asked in another process because asking registers them."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", LIST_DRIVERS], env=_base(), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)
