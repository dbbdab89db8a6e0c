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

# Where every request goes that a library makes in spite of the rest: a port that nobody listens on.
NOWHERE = "http://127.0.0.1:1"
HARDENING = {
    **dict.fromkeys(("GDAL_HTTP_PROXY", "GDAL_HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), NOWHERE),
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{noext}",
    "CPL_VSIL_CURL_HEADER_FILE_KVP_ENABLED": "NO",
    "GDAL_HTTP_TIMEOUT": "1",
    "GDAL_HTTP_CONNECTTIMEOUT": "1",
    "GDAL_HTTP_MAX_RETRY": "0",
    "GDAL_DRIVER_PATH": "disable",
    "GDAL_PYTHON_DRIVER_PATH": "/nowhere",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_CACHEMAX": "64",
    "GDAL_MAX_DATASET_POOL_SIZE": "16",
    "GML_SKIP_RESOLVE_ELEMS": "ALL",
    "GML_DOWNLOAD_SCHEMA": "NO",
    "GML_SAVE_RESOLVED_TO": "",
    "LIBKML_RESOLVE_STYLE": "NO",
    "LIBKML_READ_SNIPPET": "NO",
    "OGR_SQLITE_LIST_VIRTUAL_OGR": "NO",
    "OGR_SQLITE_ALLOW_EXTERNAL_ACCESS": "NO",
    "OGR_SQLITE_LOAD_EXTENSIONS": "",
    # GDAL 3.12's own way from FlatGeobuf to Arrow takes signed bytes for unsigned: -1 becomes 255.
    "OGR_FLATGEOBUF_STREAM_BASE_IMPL": "YES",
    "PROJ_NETWORK": "OFF",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
SKIPPED, THREADS = "OGR_SKIP", "OGR_GPKG_NUM_THREADS"
LIST_VECTOR_DRIVERS = """
import json
from terrane_spatial.sandbox.imports import import_pyogrio
print(json.dumps(sorted(import_pyogrio().list_drivers())))
"""
LIST_RASTER_DRIVERS = """
import json
from terrane_spatial.sandbox.imports import import_rasterio
with import_rasterio().Env() as env:
    print(json.dumps(sorted(env.drivers())))
"""


def environment(*drivers: str) -> dict[str, str]:
    """All the environment of a process that uses those drivers: no credentials, no addresses, no other driver."""
    return {**hardened(), SKIPPED: skipped(*drivers)}


def hardened() -> dict[str, str]:
    """The environment of a process that is yet to be told which drivers it may use, before it loads GDAL."""
    return {**_base(), **HARDENING}


def of_file(driver: str, threads: int = 1) -> dict[str, str]:
    """What `hardened` lacks for reading one file for vectors with that driver alone, and so many threads."""
    return {SKIPPED: skipped(driver), THREADS: str(threads)}


def skipped(*drivers: str) -> str:
    """The value of SKIPPED that leaves GDAL those drivers for vectors alone."""
    return ",".join(name for name in registered(LIST_VECTOR_DRIVERS) if name not in drivers)


@functools.cache
def raster_environment(driver: str, *written: str) -> dict[str, str]:
    """The same for a process that reads a raster, in which no driver is left but its own and those that write.

    Rasters stand alone here: nothing beside them is looked for, their world file apart.
    """
    unwanted = [name for name in registered(LIST_RASTER_DRIVERS) if name not in (driver, *written)]
    spaced = [name for name in unwanted if " " in name]
    plain = [name for name in unwanted if " " not in name]
    return {**_base(), **HARDENING, "GDAL_SKIP": " ".join(plain), "OGR_SKIP": ",".join(spaced)}


@functools.cache
def registered(script: str) -> tuple[str, ...]:
    """Every driver of this GDAL, asked in another process because asking registers them."""
    done = subprocess.run([sys.executable, "-I", "-c", script], env=_base(), capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout))


def _base() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
