"""Reference systems: told by the file or the manifest, never guessed."""

from __future__ import annotations

import pyproj
import pytest

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.reading.child.reference_systems import identify
from terrane_spatial.reading.reference_system import System, is_plain, place

pytestmark = pytest.mark.unit

LOCAL = (
    'LOCAL_CS["Undefined SRS",LOCAL_DATUM["unknown",32767],UNIT["unknown",0],'
    'AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
)
GRIDDED = "+proj=longlat +ellps=bessel +nadgrids=/etc/passwd +type=crs"
CUSTOM = pyproj.CRS.from_proj4("+proj=laea +lat_0=12.34 +lon_0=56.78 +ellps=GRS80").to_wkt()


@pytest.mark.parametrize(
    ("of_file", "of_manifest", "number"),
    [
        ("EPSG:4326", None, 4326),
        ("EPSG:25832", "EPSG:25832", 25832),
        (None, "EPSG:3857", 3857),
        (LOCAL, "EPSG:3857", 3857),
        (CUSTOM, "EPSG:3035", 3035),
        (pyproj.CRS.from_epsg(32633).to_wkt("WKT1_ESRI"), None, 32633),
    ],
)
def test_the_number_is_what_file_and_manifest_say(of_file: str | None, of_manifest: str | None, number: int) -> None:
    assert place("x.gpkg", identify(of_file), of_manifest).srid == number


@pytest.mark.parametrize(
    ("of_file", "of_manifest", "said"),
    [
        (None, None, "x.gpkg does not say its coordinate reference system; give the manifest's file a field crs"),
        (LOCAL, None, "x.gpkg has the reference system 'Undefined SRS', which has no EPSG number; give"),
        (pyproj.CRS.from_user_input(GRIDDED).to_wkt(), None, "which has no EPSG number; give"),
        ("EPSG:4326", "EPSG:3857", "x.gpkg says EPSG:4326 and the manifest says EPSG:3857"),
    ],
)
def test_what_neither_says_is_not_guessed(of_file: str | None, of_manifest: str | None, said: str) -> None:
    with pytest.raises(BatchRejectedError) as caught:
        place("x.gpkg", identify(of_file), of_manifest)
    assert said in str(caught.value)


def test_a_custom_system_is_brought_to_degrees_by_its_plain_definition() -> None:
    system = identify(CUSTOM)
    assert system
    assert (system.definition or "").startswith("+proj=laea +lat_0=12.34 +lon_0=56.78")
    assert place("x.gpkg", system, None).srid == 4326


@pytest.mark.parametrize(
    "definition",
    [
        "+proj=longlat +nadgrids=/etc/passwd",
        "+proj=longlat +geoidgrids=@x.gtx",
        "+init=file:epsg",
        "+proj=pipeline +step",
        "+proj=/tmp/x",
        "'; drop table x; --",
        "",
    ],
)
def test_a_definition_that_could_open_a_file_is_not_plain(definition: str) -> None:
    assert not is_plain(definition)


@pytest.mark.parametrize(
    ("told", "number"),
    [
        (pyproj.CRS.from_user_input("OGC:CRS84").to_json_dict(), 4326),
        (pyproj.CRS.from_user_input("EPSG:25832+5783").to_wkt(), 25832),
        (pyproj.CRS.from_epsg(4979).to_wkt(), 4326),
        ("urn:ogc:def:crs:EPSG::4326", None),
        ("https://example.org/crs", None),
        ("/etc/passwd", None),
        ({"type": "GeographicCRS"}, None),
        ("GEOGCS[" * 50_000, None),
    ],
)
def test_a_system_is_known_by_its_horizontal_part_and_never_by_a_name_to_look_up(
    told: object, number: int | None
) -> None:
    system = identify(told)
    assert isinstance(system, System)
    assert system.epsg == number
