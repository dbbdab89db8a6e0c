"""What a file is, judged by its first bytes alone: nothing is parsed, resolved or opened by a library here."""

from __future__ import annotations

import re

from terrane_spatial.files.formats import BY_NAME, Format

HEAD_BYTES = 1 << 16
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
GDB_TABLE = "a00000001.gdbtable"

GEOPACKAGE_IDS = (b"GPKG", b"GP10", b"GP11")
MAGIC = (
    (b"PAR1", "geoparquet"),
    (b"fgb", "flatgeobuf"),
    (b"II*\0", "geotiff"),
    (b"MM\0*", "geotiff"),
    (b"II+\0", "geotiff"),
    (b"MM\0+", "geotiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"CDF\x01", "netcdf"),
    (b"CDF\x02", "netcdf"),
    (b"CDF\x05", "netcdf"),
    (b"\x89HDF\r\n\x1a\n", "netcdf"),
)
# A .shx has the head of a .shp, and then offsets: the first is 50 words.
FIRST_OF_SHX = b"\0\0\0\x32"
BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
XML_PROLOGUE = re.compile(r"\s*(<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(\[.*?\])?\s*>)", re.DOTALL)
XML_ROOT = re.compile(r"\s*<([\w.-]+:)?([\w.-]+)")
DXF_HEAD = re.compile(r"(\s*999\s*\n[^\n]*\n)*\s*0\s*\n\s*SECTION\s*\n")
SEQUENCE = re.compile(r'\{.*"Feature".*\}\s*\n\s*\x1e?\s*\{')
GEOJSON = re.compile(
    r'"type"\s*:\s*"(Feature|FeatureCollection|(Multi)?(Point|LineString|Polygon)|GeometryCollection)"|"features"\s*:\s*\['
)
CSV_SEPARATORS = (",", ";", "\t", "|")
# A MapInfo table that is a view, or is seamless, or keeps its rows elsewhere, names other files.
TAB_ELSEWHERE = re.compile(
    r"^\s*(create\s+view|open\s+table|file\s+\"|type\s+(?!native|dbf)\w)|isseamless", re.I | re.M
)
COORDINATES = frozenset(
    [
        "x",
        "y",
        "lon",
        "long",
        "lng",
        "longitude",
        "lat",
        "latitude",
        "easting",
        "northing",
        "wkt",
        "geom",
        "geometry",
        "the_geom",
    ]
)


def is_zip(head: bytes) -> bool:
    return head.startswith(ZIP)


def sniff(head: bytes) -> Format | None:
    """The format of a file that begins so, of which at most HEAD_BYTES are looked at; None for what is none of ours."""
    head = head[:HEAD_BYTES]
    name = _binary(head) or _text(_decoded(head))
    return BY_NAME[name] if name else None


def points_elsewhere(head: bytes) -> bool:
    """Whether a MapInfo table takes its rows from other files than those of its own name."""
    return bool(TAB_ELSEWHERE.search(head.decode("latin-1")))


def _binary(head: bytes) -> str | None:
    if head.startswith(b"SQLite format 3\0"):
        return "geopackage" if head[68:72] in GEOPACKAGE_IDS or b"gpkg_contents" in head else None
    if head.startswith(b"\0\0\x27\x0a") and head[28:32] == b"\xe8\x03\0\0":
        return None if head[100:104] == FIRST_OF_SHX else "shapefile"
    return next((name for magic, name in MAGIC if head.startswith(magic)), None)


def _decoded(head: bytes) -> str:
    """The head as text; empty when it is none."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, errors="ignore")
    return "" if b"\0" in head else head.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def _text(head: str) -> str | None:
    start = head.lstrip(" \t\r\n")
    if start.startswith("<"):
        return _xml(start)
    if start.startswith(("{", "\x1e")):
        return _json(start)
    if start[:6].lower() == "!table":
        return "mapinfo"
    if re.match(r"version\s+\d+\s*\n", start, re.IGNORECASE):
        return "mapinfo-mif"
    if DXF_HEAD.match(head):
        return "dxf"
    return "csv" if _has_coordinate_columns(start.split("\n", 1)[0]) else None


def _xml(text: str) -> str | None:
    while prologue := XML_PROLOGUE.match(text):
        text = text[prologue.end() :]
    root = XML_ROOT.match(text)
    if root is None:
        return None
    name = root.group(2).lower()
    if name in ("kml", "gpx"):
        return name
    return "gml" if "http://www.opengis.net/gml" in text else None


def _json(text: str) -> str | None:
    if re.search(r'"type"\s*:\s*"Topology"', text):
        return "topojson"
    if text.startswith("\x1e") or SEQUENCE.match(text):
        return "geojsonseq"
    return "geojson" if GEOJSON.search(text) else None


def _has_coordinate_columns(line: str) -> bool:
    separator = max(CSV_SEPARATORS, key=line.count)
    names = {cell.strip().strip('"').lower() for cell in line.split(separator)}
    found = names & COORDINATES
    return len(found) > 1 or bool(found & {"wkt", "geom", "geometry", "the_geom"})
