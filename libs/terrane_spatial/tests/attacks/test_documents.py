"""Documents that point at other files, at the network, or at themselves without end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.unit

GML = """<?xml version="1.0"?>{doctype}
<f:FeatureCollection xmlns:f="http://example.org/f" xmlns:gml="http://www.opengis.net/gml"
 xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" {attributes}>
<gml:featureMember><f:place><f:name>{text}</f:name><f:geom>{geometry}</f:geom></f:place></gml:featureMember>
</f:FeatureCollection>"""
POINT_GML = '<gml:Point srsName="{srs}"><gml:coordinates>1,2</gml:coordinates></gml:Point>'
KML = """<?xml version="1.0"?>{doctype}<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{more}
<Placemark><name>{text}</name><Point><coordinates>1,2</coordinates></Point></Placemark></Document></kml>"""
GPX = """<?xml version="1.0"?>{doctype}<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">
<wpt lat="1" lon="2"><name>{text}</name></wpt></gpx>"""


def gml(doctype: str = "", text: str = "a", attributes: str = "", geometry: str = "", srs: str = "EPSG:4326") -> bytes:
    made = geometry or POINT_GML.format(srs=srs)
    return GML.format(doctype=doctype, text=text, attributes=attributes, geometry=made).encode()


def kml(doctype: str = "", text: str = "a", more: str = "") -> bytes:
    return KML.format(doctype=doctype, text=text, more=more).encode()


def gpx(doctype: str = "", text: str = "a") -> bytes:
    return GPX.format(doctype=doctype, text=text).encode()


def laughs(levels: int = 9) -> str:
    entities = '<!ENTITY l0 "ha">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, levels + 1))
    return f"<!DOCTYPE x [{entities}]>"


def quadratic() -> str:
    return f'<!DOCTYPE x [<!ENTITY q "{"q" * 60_000}">]>'


@pytest.mark.parametrize("confined", [True, False])
@pytest.mark.parametrize(
    "document",
    [
        "<OGRVRTDataSource><OGRVRTLayer name='secret'><SrcDataSource>CSV:{secret}</SrcDataSource></OGRVRTLayer>"
        "</OGRVRTDataSource>",
        "<VRTDataset rasterXSize='9' rasterYSize='9'>"
        "<VRTRasterBand dataType='Byte' band='1' subClass='VRTRawRasterBand'>"
        "<SourceFilename relativetoVRT='0'>{secret}</SourceFilename></VRTRasterBand></VRTDataset>",
        "<MRF_META><CachedSource><Source>{secret}</Source></CachedSource><Raster><Size x='9' y='9'/>"
        "<DataFile>{folder}/written</DataFile></Raster></MRF_META>",
        "<GDAL_WMS><Service name='TMS'><ServerUrl>{url}</ServerUrl></Service></GDAL_WMS>",
        "<GDALTileIndexDataset><IndexDataset>{secret}</IndexDataset></GDALTileIndexDataset>",
        "<OGRWFSDataSource><URL>{url}</URL></OGRWFSDataSource>",
        "CSV:{secret}",
        "/vsicurl/{url}",
        "{url}",
        "HTTP:{url}",
        "PG:host=127.0.0.1 port={port}",
        '{{"type":"gdal_streamed_alg","command_line":"gdal vector pipeline ! read {secret} ! write streamed"}}',
        '{{"stac_version":"1.0.0","assets":{{"x":{{"href":"{url}"}}}},"links":[]}}',
        '{{"layers":[{{"url":"{url}"}}],"hasVirtualLayers":true}}',
    ],
)
def test_a_document_that_stands_for_another_source_is_of_no_format(
    attack: Callable[..., Any], canary: Any, document: str
) -> None:
    text = document.format(secret=canary.secret, folder=canary.folder, url=canary.url, port=canary.port)
    assert attack(text.encode()).refused
    # Dressed as a format that is taken, it is opened by that format's driver alone.
    for dressed in (f'{{"type": "Feature", "x": {json.dumps(text)}}}', f"x,y,name\n1,2,{text[:1000]}\n"):
        attack(dressed.encode())


@pytest.mark.parametrize("confined", [True, False])
@pytest.mark.parametrize("make", [gml, kml, gpx])
@pytest.mark.parametrize("target", ["file://{secret}", "{url}"])
def test_an_external_entity_is_not_fetched(
    attack: Callable[..., Any], canary: Any, make: Callable[..., bytes], target: str
) -> None:
    address = target.format(secret=canary.secret, url=canary.url)
    attack(make(f'<!DOCTYPE x [<!ENTITY e SYSTEM "{address}">]>', "&e;"))
    attack(make(f'<!DOCTYPE x SYSTEM "{address}">', "a"))
    attack(make(f'<!DOCTYPE x [<!ENTITY % p SYSTEM "{address}"> %p;]>', "a"))


@pytest.mark.parametrize("make", [gml, kml, gpx])
@pytest.mark.parametrize(("doctype", "text"), [(laughs(), "&l9;"), (quadratic(), "&q;" * 20_000)])
def test_entities_that_grow_are_refused(
    attack: Callable[..., Any], make: Callable[..., bytes], doctype: str, text: str
) -> None:
    assert attack(make(doctype, text)).refused


@pytest.mark.parametrize("confined", [True, False])
def test_a_gml_reads_no_schema_and_resolves_no_link(attack: Callable[..., Any], canary: Any) -> None:
    for address in (canary.folder / "secret.xsd", canary.url, f"../../outside/secret.xsd {canary.secret}"):
        attack(gml(attributes=f'xsi:schemaLocation="http://example.org/f {address}"'))
        attack(gml(geometry=f'<gml:Point xlink:href="{address}#p"/>'))
        attack(gml(srs=str(address)))


@pytest.mark.parametrize("confined", [True, False])
def test_a_kml_fetches_no_link_style_or_overlay(attack: Callable[..., Any], canary: Any) -> None:
    for address in (canary.url, f"file://{canary.secret}", canary.secret):
        link = f"<Link><href>{address}</href></Link>"
        more = f"<NetworkLink>{link}</NetworkLink><styleUrl>{address}#s</styleUrl>"
        more += f"<GroundOverlay><Icon>{link}</Icon></GroundOverlay>"
        attack(kml(more=more + f"<Style id='s'><IconStyle><Icon><href>{address}</href></Icon></IconStyle></Style>"))


@pytest.mark.parametrize("confined", [True, False])
def test_a_geojson_resolves_no_reference_system_by_link(
    attack: Callable[..., Any], canary: Any, confined: bool
) -> None:
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2]}}
    for crs in (
        {"type": "link", "properties": {"href": canary.url, "type": "proj4"}},
        {"type": "url", "properties": {"url": canary.url}},
        {"type": "file", "properties": {"name": str(canary.secret)}},
        {"type": "name", "properties": {"name": canary.url}},
        {"type": "name", "properties": {"name": str(canary.secret)}},
        # Without the kernel's help PROJ opens a grid that is named so, and finds that it is none.
        *([{"type": "name", "properties": {"name": f"+proj=longlat +nadgrids={canary.secret}"}}] if confined else []),
    ):
        attack(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}).encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"Feature","properties":{},"geometry":{"type":"Polygon","coordinates":'
        + "[" * 200_000
        + "]" * 200_000
        + "}}",
        '{"type":"Feature","properties":' + '{"a":' * 200_000 + "1" + "}" * 200_000 + ',"geometry":null}',
        '{"type":"Feature","properties":{},"geometry":'
        + '{"type":"GeometryCollection","geometries":[' * 50_000
        + '{"type":"Point","coordinates":[1,2]}'
        + "]}" * 50_000
        + "}",
        '{"type":"Topology","arcs":[],"objects":' + '{"a":' * 100_000 + "{}" + "}" * 100_000 + "}",
    ],
    ids=["coordinates", "properties", "collections", "topology"],
)
def test_json_nested_too_deeply_is_refused(attack: Callable[..., Any], text: str) -> None:
    assert attack(text.encode()).refused


@pytest.mark.parametrize(
    "content",
    [
        kml(more="<Folder>" * 100_000 + "</Folder>" * 100_000),
        gml(geometry="<gml:MultiGeometry><gml:geometryMember>" * 50_000),
        gpx(text="<a>" * 200_000 + "</a>" * 200_000),
    ],
    ids=["kml", "gml", "gpx"],
)
def test_xml_nested_too_deeply_does_no_harm(attack: Callable[..., Any], content: bytes) -> None:
    attack(content)


def test_a_drawing_that_inserts_itself_over_and_over_ends(attack: Callable[..., Any]) -> None:
    lines = ["0", "SECTION", "2", "BLOCKS"]
    for level in range(12):
        lines += ["0", "BLOCK", "2", f"B{level}", "10", "0", "20", "0"]
        if level:
            lines += ["0", "INSERT", "2", f"B{level - 1}", "10", "1", "20", "1"] * 10
        else:
            lines += ["0", "LINE", "10", "0", "20", "0", "11", "1", "21", "1"]
        lines += ["0", "ENDBLK"]
    lines += ["0", "ENDSEC", "0", "SECTION", "2", "ENTITIES", "0", "INSERT", "2", "B11", "10", "0", "20", "0"]
    lines += ["0", "ENDSEC", "0", "EOF", ""]
    assert attack("\n".join(lines).encode()).refused
