"""Why a file is refused: what the loader says, and the sentence of the format's specification, or of ours, for it."""

from __future__ import annotations

import re

# By what a refusal says; the first that is found counts. A refusal that none of them is found in is one without reason.
CAUSES = (
    ("no geometry|has no geometry|no geometry: ", "a layer without a geometry has no place on a map: docs/spatial.md"),
    ("has no features", "a layer without rows publishes nothing: docs/spatial.md, What a batch must be"),
    ("cannot read it as GeoJSON", "RFC 7946, 2 and 3: a GeoJSON text is one Feature, FeatureCollection or geometry"),
    ("cannot read it as GML", "OGC 07-036, 7.2 and 9.3: features are members of a collection, described by its schema"),
    ("cannot read it as (KML|GPX|TopoJSON)", "the format's schema: the root element or member names its kind"),
    (
        "cannot read it as Shapefile|its .dbf|its .shp",
        "ESRI Shapefile, pages 2 to 4: lengths and records of a file's head",
    ),
    ("cannot read it as FlatGeobuf|not as FlatGeobuf has", "FlatGeobuf 3.0: magic bytes, header, index, features"),
    (
        "cannot read it as GeoPackage|SQLite cannot read it",
        "OGC 12-128r19, 1.1: an SQLite file with the required tables",
    ),
    ("cannot read it as MapInfo|this MapInfo table takes", "MapInfo interchange format: Version, Columns, Data"),
    (
        "cannot read it as File geodatabase",
        "the tables of the system catalogue, a00000001 and after, are in the folder",
    ),
    ("cannot read it as DXF", "DXF reference: pairs of a group code and a value, up to EOF"),
    ("cannot read it as CSV|quote opens a field|fields, and its first line", "RFC 4180, 2: records, fields and quotes"),
    ("is no JSON", "RFC 8259, 2: the grammar of JSON"),
    ("not UTF-8|no encoding known|text of column .* is not|text is not|UTF-16", "the declared encoding; RFC 8259, 8.1"),
    (
        "without the metadata that make it GeoParquet|only WKB is taken|read as GeoParquet",
        "GeoParquet 1.1, File metadata",
    ),
    ("metadata's covering|name .* as the geometry", "GeoParquet 1.1, Column metadata"),
    ("is a column of .*, not of bytes", "GeoParquet 1.1, WKB: a column of type BYTE_ARRAY"),
    ("not on Earth", "EPSG's axes: longitude from -180 to 180, latitude from -90 to 90; RFC 7946, 4"),
    (
        "does not say its coordinate reference system|no EPSG number",
        "never guessed: docs/spatial.md, What a batch must be",
    ),
    ("is not whole without its file|is several files", "ESRI Shapefile, page 2, and MapInfo: the files of one table"),
    ("must hold one spatial file", "one spatial file an archive: docs/spatial.md, Formats"),
    (
        "no zip archive that can be read|member|index of .* bytes|archive",
        "APPNOTE 4.3 and 4.4, and docs/spatial.md, Attacks",
    ),
    ("every row of its layer", "OGC 06-103r4, 6.1: rings are closed, surfaces of solids are none of its types"),
    ("no row with any", "a column of coordinates without any is none: docs/spatial.md"),
    ("several reference systems", "one system a table: docs/spatial.md, What a batch must be"),
    ("comma in .* may divide", "RFC 4180 knows no separator of thousands: docs/spatial.md"),
    ("it has no layer|several layers", "the manifest's field layer: docs/spatial.md"),
    ("columns; at most|has to fit", "Postgres, limits: 1,600 columns, 8 KiB a row"),
    ("of no format known here", "docs/spatial.md, Formats"),
    ("PostGIS knows no EPSG|PostGIS refuses a row", "PostGIS, spatial_ref_sys and its grammar of WKB"),
    ("says that it has .* features|rows more than|and it holds", "what a layer counts is what it holds"),
    ("only GDAL reads|cannot read all of it|columns of the same name", "GDAL changes it, and no other reader knows it"),
    ("is read by GDAL without|differs|the file has", "both readings differ: docs/spatial.md, What GDAL would change"),
    ("far more than a file of its size", "docs/spatial.md, Attacks"),
)


def cause(reason: str) -> str | None:
    """The sentence behind a refusal; None where there is none."""
    return next((sentence for pattern, sentence in CAUSES if re.search(pattern, reason)), None)
