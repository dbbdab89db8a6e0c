"""Which second reader there is for a source: one by hand, or GDAL without Arrow where there is none."""

from __future__ import annotations

from importlib import import_module

from terrane_spatial.reading.child.records.table import Table, UnsupportedError
from terrane_spatial.reading.source import Source

# Each is imported where it is used: all of them take as long as the smallest files to read.
OPENERS = {
    "GPKG": ("geopackage", "open_geopackage"),
    "ESRI Shapefile": ("dbase", "open_shapefile"),
    "CSV": ("delimited", "open_delimited"),
    "GeoJSON": ("json_features", "open_geojson"),
    "GeoJSONSeq": ("json_features", "open_sequence"),
    "GML": ("markup", "open_gml"),
    "LIBKML": ("markup", "open_kml"),
    "GPX": ("markup", "open_gpx"),
    "FlatGeobuf": ("flatgeobuf", "open_flatgeobuf"),
    "TopoJSON": ("topology", "open_topojson"),
    "MapInfo File": ("gdal_features", "open_features"),
    "OpenFileGDB": ("gdal_features", "open_features"),
    "DXF": ("gdal_features", "open_features"),
    # GeoParquet, which no driver of GDAL opens here.
    "": ("parquet", "open_geoparquet"),
}


def open_table(source: Source) -> Table:
    """The layer, by hand. Raises UnsupportedError for a format, or a file of it, that no reader by hand knows."""
    if source.driver not in OPENERS:
        raise UnsupportedError(f"no reader but one reads {source.title}")
    module, function = OPENERS[source.driver]
    return getattr(import_module(f"terrane_spatial.reading.child.records.{module}"), function)(source)
