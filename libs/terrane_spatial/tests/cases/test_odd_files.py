"""Files that are rare and right by their format: what is published is what they say, and what is left out is told."""

from __future__ import annotations

import json
import sqlite3
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyogrio import raw
from spatial_cases import Load

pytestmark = pytest.mark.integration
BY_HAND, COMPARED, WITHOUT = "read by hand, for", "compared with a second reading", "no second reader"
FLAT = "geometries brought to two dimensions"


def feature(properties: dict[str, Any], *place: float, **told: Any) -> dict[str, Any]:
    geometry = {"type": "Point", "coordinates": list(place or (1, 2))}
    return {"type": "Feature", **told, "geometry": geometry, "properties": properties}


def geojson(*features: dict[str, Any]) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def test_a_property_without_a_name_stops_no_comparison(load: Load) -> None:
    case = load(geojson(feature({"": 5, "n": 2**53 + 1}), feature({"": 6, "n": 0.5})))
    assert case.column("n") == ["0.5", "9007199254740993"]
    assert case.column('"column"') == [5, 6]


def test_a_feature_has_its_id_beside_a_property_of_that_name(load: Load) -> None:
    case = load(geojson(feature({"id": 8, "": 1}, id=99)))
    assert (case.column("id"), case.column("feature_id")) == ([8], [99])


def test_a_flag_among_numbers_is_no_number(load: Load) -> None:
    case = load(geojson(feature({"b": True}), feature({"b": 1})))
    assert sorted(case.column("b")) == ["1", "true"]
    assert "the file has 'true', GDAL reads 1" in case.facts[BY_HAND]


def test_a_member_that_is_there_twice_is_told(load: Load) -> None:
    # RFC 8259, 4: what becomes of it is not predictable.
    case = load(geojson(feature({"a": 2})).replace(b'"a": 2', b'"a": 1, "a": 2'))
    assert case.column("a") == [2]
    assert case.facts["members that an object has twice, of which the last is taken"] == {"a": 2}


def test_of_members_that_are_there_twice_a_few_are_told(load: Load) -> None:
    members = b", ".join(b'"c%d": 1, "c%d": 2' % (n, n) for n in range(30))
    case = load(geojson(feature({"a": 2})).replace(b'"a": 2', members))
    assert case.column("c29") == [2]
    assert len(case.facts["members that an object has twice, of which the last is taken"]) == 20


def test_heights_are_told_of_what_is_read_by_hand(load: Load) -> None:
    case = load(geojson(feature({"n": 2**53 + 1}, 1, 2, 7), feature({"n": 0.5}, 1, 2), feature({"n": 0.5}, 1, 2, 3)))
    assert BY_HAND in case.facts
    assert case.facts[FLAT] == 2


KML = """<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Folder><name>A</name>{a}<Folder><name>B</name>{b}
</Folder></Folder></Document></kml>"""
PLACE = "<Placemark><name>{}</name><Point><coordinates>1,2</coordinates></Point></Placemark>"


def test_a_folder_within_a_folder_is_compared_as_the_layer_that_it_is(load: Load) -> None:
    content = KML.format(a=PLACE.format("one"), b=PLACE.format("two") + PLACE.format("three"))
    case = load(content.encode(), layer="B")
    assert case.column("name") == ["three", "two"]
    assert case.facts[COMPARED].startswith("2 rows")


def test_folders_of_one_name_are_told_to_have_no_second_reader(load: Load) -> None:
    content = KML.format(a=PLACE.format("one"), b=PLACE.format("two")).replace("<name>B<", "<name>A<")
    assert "in several folders" in load(content.encode(), layer="A").facts[WITHOUT]


def test_links_beyond_the_second_are_columns_too(load: Load) -> None:
    links = "".join(f'<link href="http://{at}"><text>t{at}</text></link>' for at in (1, 2, 3))
    content = f'<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">{{}}{links}</wpt></gpx>'
    case = load(content.format('<wpt lat="41.9" lon="12.5">').encode())
    assert [case.column(f"link{at}_href")[0] for at in (1, 2, 3)] == ["http://1", "http://2", "http://3"]
    assert case.column("link1_text") == ["t1"]


def test_nanoseconds_that_postgres_cannot_hold_are_told(load: Load, tmp_path: Path) -> None:
    geo = {"version": "1.1.0", "primary_column": "g", "columns": {"g": {"encoding": "WKB", "geometry_types": []}}}
    times = pa.array([1_577_872_800_123_456_789, 1_577_872_800_123_456_000, None], pa.timestamp("ns", "UTC"))
    table = pa.table({"t": times, "g": [shapely.to_wkb(shapely.Point(1, 2))] * 3})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), tmp_path / "x.parquet")
    case = load((tmp_path / "x.parquet").read_bytes())
    assert case.column("t::text") == ["2020-01-01 10:00:00.123456+00"] * 2 + [None]
    assert case.facts["times cut to microseconds"] == 1


def shapefile(numbers: list[str], measured: bool = False) -> bytes:
    """Points, with a column N(8,1) of which the .dbf has these letters; each with a measure where they are measured."""
    kind = 21 if measured else 1
    shapes = [struct.pack("<i2d", kind, at, 1) + struct.pack("<d", 7) * measured for at in range(len(numbers))]
    words = len(shapes[0]) // 2

    def head(length: int) -> bytes:
        return struct.pack(">7i", 9994, *[0] * 5, length) + struct.pack("<2i8d", 1000, kind, 0, 0, 9, 9, *[0] * 4)

    records = b"".join(struct.pack(">2i", at + 1, words) + shape for at, shape in enumerate(shapes))
    index = b"".join(struct.pack(">2i", 50 + at * (words + 4), words) for at in range(len(shapes)))
    field = struct.pack("<11sc4xBB14x", b"N", b"N", 8, 1)
    rows = "".join(f" {text:>8}" for text in numbers).encode()
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("deep/down/x.shp", head(50 + len(records) // 2) + records)
        archive.writestr("deep/down/x.shx", head(50 + len(index) // 2) + index)
        dbf = struct.pack("<4BIHH20x", 3, 120, 1, 1, len(numbers), 65, 9) + field + b"\r" + rows + b"\x1a"
        archive.writestr("deep/down/x.dbf", dbf)
        archive.writestr("__MACOSX/deep/down/._x.shp", b"\0\5\x16\7")
    return made.getvalue()


def test_numbers_beside_one_that_is_none_stay_as_they_are_written(load: Load) -> None:
    case = load(shapefile(["1.5e3", "007", "1.50", "nan"]), crs="EPSG:4326")
    assert sorted(case.column("n")) == ["007", "1.50", "1.5e3", "nan"]
    assert case.facts["columns kept as text, and a value that is none of what they declare"] == {"N": "nan"}


def test_measures_are_told_of_a_shapefile_that_is_read_by_hand(load: Load) -> None:
    case = load(shapefile(["1", "x"], measured=True), crs="EPSG:4326")
    assert case.facts[FLAT] == 2


@pytest.mark.parametrize("registered", [True, False], ids=["attributes", "a table that nothing says anything of"])
def test_a_table_without_geometry_is_no_second_layer(load: Load, tmp_path: Path, registered: bool) -> None:
    path = tmp_path / "x.gpkg"
    points: Any = shapely.to_wkb(np.array([shapely.Point(1, 2)]))
    raw.write(path, points, [np.array(["a"], object)], ["a"], layer="d", geometry_type="Point", crs="EPSG:4326")
    with sqlite3.connect(path) as connection:
        connection.execute("create table layer_styles (id integer primary key, style text)")
        connection.execute("insert into layer_styles values (1, 'red')")
        if registered:
            columns = "table_name, data_type, identifier"
            connection.execute(f"insert into gpkg_contents ({columns}) values ('layer_styles', 'attributes', 's')")
    assert load(path.read_bytes()).column("a") == ["a"]
