"""What a file is, by how it begins."""

from __future__ import annotations

import pytest

from terrane_spatial.files.sniffing import points_elsewhere, sniff

pytestmark = pytest.mark.unit

GML = b'<?xml version="1.0"?>\n<!-- x --><ogr:FeatureCollection xmlns:gml="http://www.opengis.net/gml">'


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b'{"type": "FeatureCollection"', "geojson"),
        (b'\xef\xbb\xbf\n {"features": [', "geojson"),
        (b'{"type":"Topology","objects":{}}', "topojson"),
        (b'{"type":"Feature","geometry":null}\n{"type":"Feature"', "geojsonseq"),
        (b'\x1e{"type":"Feature"}', "geojsonseq"),
        (b'<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2">', "kml"),
        ('\ufeff<?xml version="1.0" encoding="UTF-16"?><kml>'.encode("utf-16-le"), "kml"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><gpx>", "gpx"),
        (GML, "gml"),
        (b"!table\r\n!version 300\r\n", "mapinfo"),
        (b"VERSION 300\r\nCharset", "mapinfo-mif"),
        (b"999\nby hand\n  0\nSECTION\n  2\nHEADER\n", "dxf"),
        (b"name;Lon;Lat\na;1;2\n", "csv"),
        (b'"name","WKT"\n', "csv"),
        (b"PAR1", "geoparquet"),
        (b"CDF\x01", "netcdf"),
    ],
)
def test_a_format_is_told_by_its_content(head: bytes, name: str) -> None:
    found = sniff(head)
    assert found
    assert found.name == name


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"SQLite format 3\0" + bytes(200),
        b"<OGRVRTDataSource>",
        b"<VRTDataset>",
        b"<MRF_META>",
        b"<GDAL_WMS>",
        b"<html>",
        b"name,code\na,1\n",
        b'{"name": 1}',
        b"[1, 2]",
        b"\0\0\x27\x0a" + bytes(24) + b"\xe8\x03\0\0" + bytes(68) + b"\0\0\0\x32",
        b"x,y\0",
        b"GDALG",
    ],
)
def test_what_is_none_of_the_formats_is_nothing(head: bytes) -> None:
    assert sniff(head) is None


@pytest.mark.parametrize(
    "lines",
    [b"create view x as Select * From y", b'File "/etc/passwd"', b'"\\IsSeamless" = "TRUE"', b"Type LINKED Charset"],
)
def test_a_mapinfo_table_that_lives_elsewhere_is_known(lines: bytes) -> None:
    assert points_elsewhere(b"!table\n!version 300\n\n" + lines)
    assert not points_elsewhere(b'!table\n!version 300\n\nDefinition Table\n  Type NATIVE Charset "WindowsLatin1"\n')
