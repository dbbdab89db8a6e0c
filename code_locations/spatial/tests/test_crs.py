"""Reference systems: told by the file or the manifest, never guessed."""

from __future__ import annotations

import pyproj
import pytest

from spatial.crs import srid
from spatial.errors import BatchRejectedError

pytestmark = pytest.mark.unit

LOCAL = (
    'LOCAL_CS["Undefined SRS",LOCAL_DATUM["unknown",32767],UNIT["unknown",0],'
    'AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
)
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
    assert srid("x.gpkg", of_file, of_manifest) == number


@pytest.mark.parametrize(
    ("of_file", "of_manifest", "said"),
    [
        (None, None, "x.gpkg does not say its coordinate reference system; give the manifest's file a field crs"),
        (LOCAL, None, "x.gpkg has the reference system 'Undefined SRS', which has no EPSG number; give"),
        (CUSTOM, None, "which has no EPSG number; give"),
        ("EPSG:4326", "EPSG:3857", "x.gpkg says EPSG:4326 and the manifest says EPSG:3857"),
    ],
)
def test_what_neither_says_is_not_guessed(of_file: str | None, of_manifest: str | None, said: str) -> None:
    with pytest.raises(BatchRejectedError) as caught:
        srid("x.gpkg", of_file, of_manifest)
    assert said in str(caught.value)
