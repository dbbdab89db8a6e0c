"""What real files hold that a loader falls into: each has a rule, and a line in the facts of its load."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyogrio import raw

from terrane.postgres import PostgresResource
from terrane_dev.servers import postgres
from terrane_dev.testing import PostgresServer
from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files.fetch import unpack
from terrane_spatial.files.formats import BY_NAME, VECTORS
from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.loading.table_loader import Loaded, load_file
from terrane_spatial.runs import run_schema
from terrane_spatial.transforms.row_balance import balance

pytestmark = pytest.mark.integration

RUN = "traps"
LAEA = "+proj=laea +lat_0=52 +lon_0=10 +x_0=0 +y_0=0 +ellps=GRS80 +units=m +no_defs"
Load = Callable[..., Loaded]


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[PostgresResource]:
    """One database for all of the module: to make one takes longer than to load a file."""
    port, password, name = postgres_server.port, postgres_server.password, "t_traps"
    postgres.ensure_role(port, password, name, password)
    postgres.ensure_database(port, password, name, name, ("postgis",))
    made = PostgresResource(host="127.0.0.1", port=str(port), user=name, password=password, database=name)
    yield made
    with postgres.administer(port, password) as connection:
        connection.execute(f"drop database {name} with (force)")
        connection.execute(f"drop role {name}")


@pytest.fixture
def load(database: PostgresResource, tmp_path: Path) -> Iterator[Load]:
    """Loads bytes as a file of a batch, into the table `t`."""
    numbers = iter(range(100))
    with run_schema.connect(database, RUN) as connection:
        run_schema.create(connection, RUN, RUN)

        def send(content: bytes, **told: Any) -> Loaded:
            folder = tmp_path / f"in{next(numbers)}"
            folder.mkdir()
            connection.execute("drop table if exists t; delete from _loads")
            (folder / "object").write_bytes(content)
            file = ManifestFile(key="t.x", size=1, sha256="0" * 64, **told)
            formats = [BY_NAME[name] for name in VECTORS]
            return load_file(connection, unpack(folder / "object", "t", "t.x", formats), file)

        send.connection = connection  # type: ignore[attr-defined]
        yield send


def rows(load: Load, query: str) -> list[tuple[Any, ...]]:
    return load.connection.execute(query).fetchall()  # type: ignore[attr-defined]


def written(path: Path, shapes: list[Any], *, geometry_type: str = "Unknown", **options: Any) -> bytes:
    """A file that pyogrio writes of shapes or WKB, with a column `name`; a shapefile comes zipped."""
    wkb = np.array([s if isinstance(s, bytes) or s is None else shapely.to_wkb(s) for s in shapes], object)
    names = options.pop("names", [f"n{i}" for i in range(len(shapes))])
    fields = options.pop("fields", {"name": np.array(names, object)})
    options.setdefault("crs", "EPSG:4326")
    raw.write(path, wkb, list(fields.values()), list(fields), geometry_type=geometry_type, **options)
    if path.suffix not in (".shp", ".tab", ".gdb"):
        return path.read_bytes()
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        parts = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
        for part in sorted(parts):
            archive.write(part, part.relative_to(path.parent))
    return sink.getvalue()


def line_wkb(*numbers: float) -> bytes:
    return struct.pack(f"<BII{len(numbers)}d", 1, 2, len(numbers) // 2, *numbers)


def geoparquet(geometry: Sequence[bytes | None], crs: Any = "default", **columns: Any) -> bytes:
    column = {"encoding": "WKB", "geometry_types": []} | ({} if crs == "default" else {"crs": crs})
    told = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    sink = io.BytesIO()
    table = pa.table({"geometry": pa.array(geometry, pa.binary()), **columns})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(told)}), sink)
    return sink.getvalue()


POINT = shapely.Point(1, 2)
SQUARE = shapely.box(0, 0, 1, 1)


def test_a_layer_that_lies_about_its_type_is_loaded_with_what_it_holds(load: Load, tmp_path: Path) -> None:
    both = [SQUARE, shapely.MultiPolygon([SQUARE, shapely.box(5, 5, 6, 6)])]
    loaded = load(written(tmp_path / "x.shp", both, geometry_type="Polygon"))
    assert loaded.facts["geometry types"] == {"Polygon": 1, "MultiPolygon": 1}


def test_a_layer_whose_type_is_none_of_its_geometries_is_told(load: Load, tmp_path: Path) -> None:
    lines = [shapely.LineString([(0, 0), (1, 1)])]
    loaded = load(written(tmp_path / "x.gpkg", lines, geometry_type="Polygon"))
    assert loaded.facts["geometry types"] == {"LineString": 1}
    assert loaded.facts["layer says its geometries are"] == "Polygon"


def test_a_count_that_lies_is_told_and_rows_are_counted(load: Load, tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "x.gpkg"
    written(path, [POINT, POINT], geometry_type="Point")
    with sqlite3.connect(path) as connection:
        connection.execute("update gpkg_ogr_contents set feature_count = 1000000000")
    connection.close()
    loaded = load(path.read_bytes())
    assert loaded.rows == 2
    assert loaded.facts["layer says its features are"] == 1_000_000_000


def test_curves_become_lines_and_surfaces_of_solids_are_rejected_by_reason(load: Load) -> None:
    curve = struct.pack("<BII6d", 1, 8, 3, 0, 0, 1, 1, 2, 0)
    high = struct.pack("<BII9d", 1, 1008, 3, 0, 0, 9, 1, 1, 9, 2, 0, 9)
    tin = struct.pack("<BII", 1, 16, 0)
    loaded = load(geoparquet([curve, high, tin, shapely.to_wkb(POINT)]))
    assert loaded.facts["curves drawn as lines"] == 2
    assert loaded.facts["rejected"] == {"geometry of type TIN": 1}
    assert rows(load, "select distinct st_geometrytype(geometry) from t order by 1") == [
        ("ST_LineString",),
        ("ST_Point",),
    ]
    assert rows(load, "select outcome, reason, rows from _tally") == [("rejected", "geometry of type TIN", 1)]


@pytest.mark.parametrize("text", ["POINT Z (1 2 3)", "POINT M (1 2 3)", "POINT ZM (1 2 3 4)"])
def test_heights_and_measures_are_left_out_and_counted(load: Load, text: str) -> None:
    loaded = load(geoparquet([shapely.to_wkb(shapely.from_wkt(text), flavor="iso", output_dimension=4)]))
    assert loaded.facts["geometries brought to two dimensions"] == 1
    assert rows(load, "select st_astext(geometry) from t") == [("POINT(1 2)",)]


def test_null_and_empty_geometries_are_kept_and_counted(load: Load) -> None:
    empty = shapely.to_wkb(shapely.from_wkt("POINT EMPTY"))
    loaded = load(geoparquet([None, empty, shapely.to_wkb(POINT)]))
    assert (loaded.facts["null geometries"], loaded.facts["empty geometries"]) == (1, 1)
    assert rows(load, "select count(*), count(geometry) from t") == [(3, 2)]


def test_a_row_with_a_coordinate_that_is_no_number_is_rejected_and_the_balance_holds(load: Load) -> None:
    wild = [line_wkb(0, 0, math.nan, 1), line_wkb(0, 0, math.inf, 1)]
    loaded = load(geoparquet([*wild, line_wkb(0, 0, 1, 1)]))
    assert loaded.facts["rejected"] == {"coordinates that are not finite numbers": 2}
    found = balance(load.connection, "t", "t")  # type: ignore[attr-defined]
    assert (found.rows_in, found.rows_out, found.rejected, found.holds) == (3, 1, 2, True)


def test_a_row_that_postgis_refuses_is_rejected_alone(load: Load) -> None:
    open_ring = struct.pack("<BIII6d", 1, 3, 1, 3, 0, 0, 1, 0, 1, 1)
    loaded = load(geoparquet([open_ring, line_wkb(0, 0), shapely.to_wkb(SQUARE)]))
    assert loaded.facts["rejected"] == {"geometry that is not whole": 2}
    assert rows(load, "select count(*) from t") == [(1,)]


def polygon_wkb(*rings: Sequence[tuple[float, float]]) -> bytes:
    held = b"".join(struct.pack("<I", len(ring)) + b"".join(struct.pack("<2d", *at) for at in ring) for ring in rings)
    return struct.pack("<BII", 1, 3, len(rings)) + held


CORNERS = [(0.0, 0.0), (0.0, 4.0), (4.0, 4.0), (4.0, 0.0), (0.0, 0.0)]


@pytest.mark.parametrize("hole", [[(1.0, 1.0)] * 3, [(1.0, 1.0), (2.0, 2.0), (1.0, 1.0)]])
def test_a_ring_of_fewer_points_than_postgis_takes_rejects_its_row_alone(
    load: Load, hole: list[tuple[float, float]]
) -> None:
    many = struct.pack("<BII", 1, 6, 1) + polygon_wkb(CORNERS, hole)
    within = struct.pack("<BII", 1, 7, 1) + many
    bad = [polygon_wkb(hole), polygon_wkb(CORNERS, hole), many, within]
    loaded = load(geoparquet([*bad, polygon_wkb(CORNERS)]))
    assert loaded.facts["rejected"] == {"geometry that is not whole": 4}
    assert rows(load, "select st_area(geometry) from t") == [(16.0,)]


def test_a_hole_without_points_is_left_out_and_counted(load: Load) -> None:
    with_hole = polygon_wkb(CORNERS, [], [(1.0, 1.0), (1.0, 2.0), (2.0, 2.0), (1.0, 1.0)])
    many = struct.pack("<BII", 1, 6, 2) + polygon_wkb(CORNERS, []) + polygon_wkb(CORNERS)
    loaded = load(geoparquet([with_hole, many, polygon_wkb(CORNERS)]))
    assert loaded.facts["holes without points left out"] == 2
    assert "rejected" not in loaded.facts or not loaded.facts["rejected"]
    found = rows(load, "select st_area(geometry), st_nrings(geometry) from t order by 1")
    assert found == [(15.5, 2), (16.0, 1), (32.0, 2)]


def test_a_file_of_which_every_row_is_rejected_is_refused(load: Load) -> None:
    with pytest.raises(BatchRejectedError, match="every row of its layer t has coordinates that are not finite"):
        load(geoparquet([line_wkb(0, 0, math.nan, 1)]))


def test_text_in_the_encoding_that_is_declared_is_read_so(load: Load, tmp_path: Path) -> None:
    content = written(tmp_path / "x.shp", [POINT], names=["São Paulo"], encoding="ISO-8859-1", geometry_type="Point")
    load(content)
    assert rows(load, "select name from t") == [("São Paulo",)]


def test_nul_bytes_are_taken_out_of_text(load: Load) -> None:
    loaded = load(geoparquet([shapely.to_wkb(POINT)], name=["a\0b"]))
    assert loaded.facts["texts with NUL bytes taken out"] == 1
    assert rows(load, "select name from t") == [("ab",)]


def test_lists_and_json_become_text(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "x.geojson"
    properties = {"tags": ["a", "b"], "more": {"x": [1, None]}, "number": [1, 2]}
    feature = {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": [1, 2]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    loaded = load(path.read_bytes())
    assert loaded.facts["nested values written as JSON"] >= 2
    assert [json.loads(text) for text in rows(load, "select tags, more, number from t")[0]] == list(properties.values())


def test_long_and_colliding_names_are_made_names_and_told(load: Load) -> None:
    columns = {
        name: [1] for name in ("x" * 80, "x" * 81, "Größe", "GROSSE", "geometry ", "xmin", 'a"; drop table t; --')
    }
    loaded = load(geoparquet([shapely.to_wkb(POINT)], **columns))
    assert loaded.facts["renamed"]['a"; drop table t; --'] == "a_drop_table_t"
    names = [
        name for (name,) in rows(load, "select attname from pg_attribute where attrelid = 't'::regclass and attnum > 0")
    ]
    assert len(names) == len(set(names)) == 8
    assert all(len(name) <= 63 and name.isidentifier() for name in names)


def test_a_second_geometry_is_left_out_and_told(load: Load) -> None:
    table = pa.table({name: pa.array([shapely.to_wkb(POINT)], pa.binary()) for name in ("geometry", "centre")})
    columns = {name: {"encoding": "WKB", "geometry_types": []} for name in table.schema.names}
    told = {"version": "1.1.0", "primary_column": "geometry", "columns": columns}
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(told)}), sink)
    assert load(sink.getvalue()).facts["columns left out"] == ["centre"]


def test_of_many_layers_one_is_named_or_the_only_one_with_rows_is_taken(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "x.gpkg"
    written(path, [POINT], layer="one", geometry_type="Point")
    written(path, [], layer="none", geometry_type="Point", append=False)
    assert load(path.read_bytes()).facts["layer"] == "one"
    written(path, [POINT], layer="two", geometry_type="Point")
    with pytest.raises(BatchRejectedError, match="it has several layers, one, two; the manifest's field layer says"):
        load(path.read_bytes())


def test_a_missing_system_is_never_guessed(load: Load, tmp_path: Path) -> None:
    content = written(tmp_path / "x.shp", [POINT], crs=None, geometry_type="Point")
    with pytest.raises(BatchRejectedError, match="does not say its coordinate reference system"):
        load(content)
    assert load(content, crs="EPSG:25832").srid == 25832


def test_a_local_system_is_never_guessed(load: Load) -> None:
    local = {
        "type": "EngineeringCRS",
        "name": "Site grid",
        "datum": {"type": "EngineeringDatum", "name": "Site"},
        "coordinate_system": {
            "subtype": "Cartesian",
            "axis": [
                {"name": "x", "abbreviation": "x", "direction": "east", "unit": "metre"},
                {"name": "y", "abbreviation": "y", "direction": "north", "unit": "metre"},
            ],
        },
    }
    with pytest.raises(BatchRejectedError, match="the reference system 'Site grid', which has no EPSG number"):
        load(geoparquet([shapely.to_wkb(POINT)], crs=local))


def test_a_custom_system_is_brought_to_degrees(load: Load, tmp_path: Path) -> None:
    content = written(tmp_path / "x.gpkg", [shapely.Point(0, 0)], crs=LAEA, geometry_type="Point")
    loaded = load(content)
    assert loaded.srid == 4326
    assert "brought to EPSG:4326 from" in loaded.facts
    ((x, y),) = rows(load, "select st_x(geometry), st_y(geometry) from t")
    assert (round(x, 9), round(y, 9)) == (10, 52)


def test_axes_in_the_order_of_the_authority_are_turned_by_the_driver(load: Load) -> None:
    gml = """<f:c xmlns:f="http://example.org/f" xmlns:gml="http://www.opengis.net/gml"><gml:featureMember><f:p>
    <f:g><gml:Point srsName="urn:ogc:def:crs:EPSG::4326"><gml:pos>48 16</gml:pos></gml:Point></f:g>
    </f:p></gml:featureMember></f:c>"""
    load(gml.encode())
    assert rows(load, "select st_x(geometry), st_y(geometry) from t") == [(16, 48)]


def test_coordinates_that_are_not_degrees_are_refused_as_degrees(load: Load) -> None:
    points = [shapely.to_wkb(shapely.Point(500_000, 5_400_000))] * 3
    with pytest.raises(BatchRejectedError, match="3 of its first 3 geometries are not on Earth"):
        load(geoparquet(points))
    one_off = [shapely.to_wkb(shapely.Point(16, 48))] * 3 + points[:1]
    assert load(geoparquet(one_off)).facts["not on Earth, of the first 4"] == 1


def test_the_report_says_what_confined_the_reader(load: Load) -> None:
    code = "from terrane_spatial.sandbox.confinement import confine; print(confine(['/usr']))"
    enforced = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    told = load(geoparquet([shapely.to_wkb(POINT)])).facts["confined to the file by"]
    assert (str(told) if told != "no kernel" else "[]") == enforced


def test_columns_of_one_name_are_told_apart(load: Load) -> None:
    load(b'name,WKT\na,"POINT (1 2)"\n', crs="EPSG:4326")
    assert rows(load, "select name, st_astext(geometry) from t") == [("a", "POINT(1 2)")]


def timed(*times: str | None) -> bytes:
    """GeoJSON whose features have those times, as text."""
    place = {"type": "Point", "coordinates": [1, 2]}
    features = [{"type": "Feature", "properties": {"t": time, "n": 1}, "geometry": place} for time in times]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


NOON, SAME_NOON, LOCAL = "2020-01-01T12:00:00Z", "2020-01-01T14:00:00+02:00", "2020-01-01T12:00:00"
KEPT = "times left as text, for only some tell their zone"
# More rows than the first batch has.
MANY = 9000


@pytest.mark.parametrize("before", [0, MANY])
def test_times_with_zones_are_instants_whatever_their_zones(load: Load, before: int) -> None:
    loaded = load(timed(*[None] * before, NOON, SAME_NOON))
    found = rows(load, "select pg_typeof(t)::text, t at time zone 'UTC' from t where t is not null")
    assert found == [("timestamp with time zone", dt.datetime(2020, 1, 1, 12))] * 2
    assert KEPT not in loaded.facts


def test_times_without_a_zone_are_given_none(load: Load) -> None:
    load(timed(LOCAL, None, LOCAL))
    assert (
        rows(load, "select pg_typeof(t)::text, t::text from t where t is not null")
        == [("timestamp without time zone", "2020-01-01 12:00:00")] * 2
    )


@pytest.mark.parametrize("times", [(NOON, LOCAL), (LOCAL, SAME_NOON)], ids=["zoned first", "local first"])
@pytest.mark.parametrize("between", [0, MANY])
def test_times_of_which_only_some_tell_their_zone_stay_as_they_are_written(
    load: Load, times: tuple[str, str], between: int
) -> None:
    loaded = load(timed(times[0], *[None] * between, times[1]))
    assert loaded.facts[KEPT] == ["t"]
    assert loaded.rows == between + 2
    assert {t for (t,) in rows(load, "select t from t where t is not null")} == set(times)


def test_a_track_s_times_keep_their_zone(load: Load) -> None:
    point = '<wpt lat="1" lon="2"><time>{}</time></wpt>'
    root = '<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">'
    load(f"{root}{point.format(NOON)}{point.format(SAME_NOON)}</gpx>".encode(), layer="waypoints")
    assert rows(load, "select distinct time from t") == [(dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC),)]


def test_signed_bytes_keep_their_sign(load: Load, tmp_path: Path) -> None:
    def of_type(kind: str) -> bytes:
        (tmp_path / kind).mkdir()
        number = {"n": np.array([1], kind)}
        return written(tmp_path / kind / "x.fgb", [shapely.Point(1, 2)], fields=number, SPATIAL_INDEX="NO")

    as_bool, as_short = of_type("bool"), of_type("int16")
    # No driver writes a column of bytes: the two files differ in its type, and in the size of a row's attributes.
    kind, size = (at for at, (a, b) in enumerate(zip(as_bool, as_short, strict=True)) if a != b)
    content = bytearray(as_bool)
    content[kind], content[size + struct.calcsize("<IH")] = 0, 0xFF
    load(bytes(content))
    assert rows(load, "select n from t") == [(-1,)]


@pytest.mark.parametrize("text", ["import { utils, geom, error } from './x';\nimport { a, b, c };\n", "x,y\n,\n,\n"])
def test_text_with_commas_in_which_no_row_has_coordinates_is_refused(load: Load, text: str) -> None:
    with pytest.raises(BatchRejectedError, match="it has columns for coordinates, and no row with any"):
        load(text.encode(), crs="EPSG:4326")
