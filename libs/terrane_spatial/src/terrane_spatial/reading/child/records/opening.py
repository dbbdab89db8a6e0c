"""Which reader by hand there is for a source."""

from __future__ import annotations

from collections.abc import Callable

from terrane_spatial.reading.child.records.dbase import open_shapefile
from terrane_spatial.reading.child.records.delimited import open_delimited
from terrane_spatial.reading.child.records.geopackage import open_geopackage
from terrane_spatial.reading.child.records.json_features import open_geojson, open_sequence
from terrane_spatial.reading.child.records.markup import open_gml, open_gpx, open_kml
from terrane_spatial.reading.child.records.table import Table, UnsupportedError
from terrane_spatial.reading.layer import Source

OPENERS: dict[str, Callable[[Source], Table]] = {
    "GPKG": open_geopackage,
    "ESRI Shapefile": open_shapefile,
    "CSV": open_delimited,
    "GeoJSON": open_geojson,
    "GeoJSONSeq": open_sequence,
    "GML": open_gml,
    "LIBKML": open_kml,
    "GPX": open_gpx,
}


def open_table(source: Source) -> Table:
    """The layer, by hand. Raises UnsupportedError for a format, or a file of it, that no reader by hand knows."""
    opener = OPENERS.get(source.driver)
    if opener is None:
        raise UnsupportedError(f"no reader but one reads {source.title}")
    return opener(source)
