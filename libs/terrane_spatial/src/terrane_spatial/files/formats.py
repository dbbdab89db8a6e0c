"""The formats that a dataset may declare: what reads each, what belongs to it, and the name it is given here.

A file's format is found in its content (`sniffing`), never taken from its name. The loader then names the file with
the format's suffix, so that a path's suffix and the one driver that may open it are the same fact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

VECTOR, RASTER = "vector", "raster"


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: as a dataset's `formats:` has it.
        title: for people.
        driver: the one GDAL driver that opens it; empty for what is read without GDAL.
        suffix: what the loader calls such a file.
        parts: suffixes of files of the same stem that belong to it; they come with it in a zip archive.
        needs: of those parts, the ones without which it cannot be read.
        options: GDAL's open options, as `name=value`.
        kind: VECTOR or RASTER.
    """

    name: str
    title: str
    driver: str
    suffix: str
    parts: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    kind: str = VECTOR


WORLD_FILES = (".wld", ".tfw", ".tifw", ".pgw", ".pngw", ".j2w", ".prj")
CSV_OPTIONS = (
    ("X_POSSIBLE_NAMES", "x,lon,long,lng,longitude,easting"),
    ("Y_POSSIBLE_NAMES", "y,lat,latitude,northing"),
    ("GEOM_POSSIBLE_NAMES", "wkt,geom,geometry,the_geom"),
)

FORMATS = (
    Format("geopackage", "GeoPackage", "GPKG", ".gpkg", (".gpkg-wal",), options=(("LIST_ALL_TABLES", "NO"),)),
    Format("shapefile", "Shapefile", "ESRI Shapefile", ".shp", (".shx", ".dbf", ".prj", ".cpg"), (".shx", ".dbf")),
    Format("flatgeobuf", "FlatGeobuf", "FlatGeobuf", ".fgb"),
    Format("geojson", "GeoJSON", "GeoJSON", ".geojson"),
    Format("geojsonseq", "GeoJSON text sequence", "GeoJSONSeq", ".geojsons"),
    Format("topojson", "TopoJSON", "TopoJSON", ".topojson"),
    Format("gml", "GML", "GML", ".gml", options=(("WRITE_GFS", "NO"),)),
    Format("kml", "KML", "LIBKML", ".kml"),
    Format("gpx", "GPX", "GPX", ".gpx"),
    Format("mapinfo", "MapInfo TAB", "MapInfo File", ".tab", (".dat", ".map", ".id"), (".dat",)),
    Format("mapinfo-mif", "MapInfo MIF", "MapInfo File", ".mif", (".mid",)),
    Format("openfilegdb", "File geodatabase", "OpenFileGDB", ".gdb"),
    Format("dxf", "DXF", "DXF", ".dxf"),
    Format("csv", "CSV with coordinates", "CSV", ".csv", options=CSV_OPTIONS),
    Format("geoparquet", "GeoParquet", "", ".parquet"),
    Format("geotiff", "GeoTIFF", "GTiff", ".tif", WORLD_FILES, kind=RASTER),
    Format("jpeg2000", "JPEG 2000", "JP2OpenJPEG", ".jp2", WORLD_FILES, kind=RASTER),
    Format("png", "PNG with a world file", "PNG", ".png", WORLD_FILES, kind=RASTER),
    Format("netcdf", "netCDF", "netCDF", ".nc", kind=RASTER),
)
BY_NAME = {f.name: f for f in FORMATS}
BY_SUFFIX = {f.suffix: f for f in FORMATS}
VECTORS = tuple(f.name for f in FORMATS if f.kind == VECTOR)
RASTERS = tuple(f.name for f in FORMATS if f.kind == RASTER)


def declared(names: Iterable[str]) -> tuple[Format, ...]:
    """The formats of those names. Raises ValueError for a name that is none, with the names there are."""
    wanted = list(names)
    unknown = [name for name in wanted if name not in BY_NAME]
    if unknown:
        raise ValueError(f"there is no format {', '.join(unknown)}; expected some of {', '.join(BY_NAME)}")
    return tuple(BY_NAME[name] for name in wanted)


def of_path(path: Path) -> Format:
    """The format of a file that the loader named. Raises KeyError for a path it did not name."""
    return BY_SUFFIX[path.suffix]


def titles(formats: Sequence[Format]) -> str:
    return ", ".join(f.title for f in formats)
