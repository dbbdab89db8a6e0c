"""Each format's second reader: it agrees with files as they are, and finds what the first reading changed."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyogrio import raw
from spatial_cases import Case, Load

from terrane_spatial.errors import BatchRejectedError, StageError
from terrane_spatial.files.formats import FORMATS, VECTOR, Format
from terrane_spatial.reading import gdal_process, held_rows
from terrane_spatial.reading.child.records import flatgeobuf as flatgeobuf_reader
from terrane_spatial.reading.child.records.flatgeobuf import COLUMNS, TYPE, open_flatgeobuf
from terrane_spatial.reading.child.records.flatgeobuf import _header as flatgeobuf_header
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.control import FOLDER
from terrane_spatial.sandbox.protocol import RefusedError

pytestmark = pytest.mark.integration
COMPARED, WITHOUT, BY_HAND = "compared with a second reading", "no second reader", "read by hand, for"
# Of a file geodatabase, MapInfo's two and DXF the second reader is GDAL too, without Arrow, which the report says.
BY_GDAL = {"openfilegdb", "mapinfo", "mapinfo-mif", "dxf"}
ROWS = 20
POINTS: Any = shapely.points(np.linspace(0, 0.3, ROWS), np.linspace(40, 40.7, ROWS))
# The process that reads first, of which a fault is made; what is read by hand afterwards is left alone.
FAULT = """
import pyarrow as pa
from terrane_spatial.reading.child import stream
from terrane_spatial.reading.child.entry import prepare
from terrane_spatial.sandbox.child_main import main

cleaned, sent = stream._cleaned, stream.stream

def fault(batch, values):
    {fault}

def changed(*arguments):
    batch, keep = cleaned(*arguments)
    return fault(batch, {{name: batch.column(name).to_pylist() for name in batch.schema.names}}), keep

def stream_of(request, output):
    stream._cleaned = cleaned if request["by_hand"] else changed
    return sent(request, output)

stream.stream = stream_of
main(prepare)
"""
AS_BATCH = (
    "return pa.RecordBatch.from_arrays([pa.array(values[f.name], f.type) for f in batch.schema], schema=batch.schema)"
)
FAULTS = {
    "a value": f"values['n'][7] = 999; {AS_BATCH}",
    "a row that is lost": "return batch.slice(0, batch.num_rows - 1)",
    "two rows in each other's place": "return batch.take(pa.array([1, 0, *range(2, batch.num_rows)]))",
    "a geometry": "at = next(name for name in values if isinstance(values[name][5], bytes))\n"
    f"    values[at][5] = values[at][6]; {AS_BATCH}",
    "a column without values": f"values['name'] = [None] * len(values['name']); {AS_BATCH}",
}


def flatgeobuf(folder: Path) -> bytes:
    columns = [np.arange(ROWS, dtype=np.int32), np.array([f"é{i}" for i in range(ROWS)], object)]
    options: dict[str, Any] = {"driver": "FlatGeobuf", "geometry_type": "Point", "crs": "EPSG:4326"}
    raw.write(folder / "x.fgb", shapely.to_wkb(POINTS), columns, ["n", "name"], SPATIAL_INDEX="NO", **options)
    return (folder / "x.fgb").read_bytes()


def geoparquet(_: Path) -> bytes:
    told = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    table = pa.table({"n": np.arange(ROWS), "name": [f"é{i}" for i in range(ROWS)], "geometry": shapely.to_wkb(POINTS)})
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(told)}), sink, row_group_size=6)
    return sink.getvalue()


def topojson(_: Path) -> bytes:
    def point(at: int) -> dict[str, object]:
        return {"type": "Point", "coordinates": [at, 2 * at], "properties": {"n": at, "name": f"é{at}"}}

    objects = {"places": {"type": "GeometryCollection", "geometries": [point(at) for at in range(ROWS)]}}
    transform = {"scale": [0.1, 0.3], "translate": [-0.7, 40.1]}
    return json.dumps({"type": "Topology", "transform": transform, "objects": objects, "arcs": []}).encode()


def zipped(folder: Path, driver: str, name: str, **options: Any) -> bytes:
    """What the driver writes, in one archive."""
    columns = [np.arange(ROWS, dtype=np.int32), np.array([f"é{i}" for i in range(ROWS)], object)]
    made = folder / driver
    made.mkdir()
    kinds: dict[str, Any] = {"driver": driver, "geometry_type": "Point", "crs": "EPSG:4326", **options}
    raw.write(made / name, shapely.to_wkb(POINTS), columns, ["n", "name"], **kinds)
    return Path(shutil.make_archive(str(folder / name), "zip", made)).read_bytes()


def mapinfo(folder: Path) -> bytes:
    return zipped(folder, "MapInfo File", "x.mif", encoding="UTF-8")


def geodatabase(folder: Path) -> bytes:
    return zipped(folder, "OpenFileGDB", "x.gdb")


FILES = {
    "flatgeobuf": flatgeobuf,
    "geoparquet": geoparquet,
    "topojson": topojson,
    "mapinfo-mif": mapinfo,
    "openfilegdb": geodatabase,
}


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind.kind == VECTOR], ids=lambda kind: kind.name)
def test_every_format_is_read_twice(load: Load, kind: Format) -> None:
    case = load((FOLDER / f"{kind.name}.zip").read_bytes(), crs="EPSG:4326")
    assert COMPARED in case.facts, case.facts
    assert WITHOUT not in case.facts
    assert (case.facts.get("second reader") == "GDAL without Arrow") == (kind.name in BY_GDAL)


def geodatabase_of_all(folder: Path, moment: str) -> bytes:
    """A geodatabase with a column of each type, and nulls; its last row has the moment."""
    columns = {
        "whole": np.array([1, 2, 2**31 - 1], "i4"),
        "long": np.array([1, 2, 2**60], "i8"),
        "real": np.array([0.1, np.nan, -1e300]),
        "moment": np.array(["2024-02-29T12:30:15.123", "NaT", moment], "M8[ms]"),
        "text": np.array(["", None, "é"], object),
    }
    made = folder / "made"
    made.mkdir()
    options: dict[str, Any] = {"driver": "OpenFileGDB", "geometry_type": "Point Z", "crs": "EPSG:4326"}
    masks = [np.array([False, True, False]), None, None, None, None]
    points = shapely.to_wkb(shapely.points([1, 2, 3], [1, 2, 3], [9, 9, 9]), output_dimension=3)
    raw.write(
        made / "x.gdb",
        points,
        list(columns.values()),
        list(columns),
        masks,
        layer_options={"TARGET_ARCGIS_VERSION": "ARCGIS_PRO_3_2_OR_LATER"},
        **options,
    )
    return Path(shutil.make_archive(str(folder / "x"), "zip", made)).read_bytes()


def test_numbers_and_times_with_nulls_are_the_same_to_gdal_with_arrow_and_without(load: Load, tmp_path: Path) -> None:
    case = load(geodatabase_of_all(tmp_path, "2001-09-09T01:46:40.500"))
    assert case.facts.get(COMPARED) == "3 rows, the values of 3: all", case.facts
    assert case.column("real")[0] == -1e300


def test_a_time_of_a_geodatabase_that_gdal_fills_up_with_nul_bytes_is_read_without(load: Load, tmp_path: Path) -> None:
    """GDAL's way to Arrow does so with one of before 1970, of which its writer makes the first moment of that year."""
    case = load(geodatabase_of_all(tmp_path, "1969-12-31T23:59:59"))
    assert "GDAL reads '1970-01-01T00:00:00Z\\x00" in case.facts[BY_HAND]
    moments = [str(moment) for moment in case.column("moment") if moment]
    assert not any("\0" in moment for moment in moments)
    assert any(moment.startswith("1970-01-01") for moment in moments)


def test_what_goes_wrong_in_the_reader_of_flatgeobuf_blames_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that its own code looks up beyond its end, and another that the file names and has not."""
    path = tmp_path / "y.fgb"
    path.write_bytes(flatgeobuf(tmp_path))
    source = Source(str(path), "FlatGeobuf", "FlatGeobuf", None, None, {})

    def beyond(*_: Any) -> Any:
        raise IndexError("list index out of range")

    with monkeypatch.context() as broken:
        broken.setattr(flatgeobuf_reader, "_record", beyond)
        with pytest.raises(IndexError):
            list(open_flatgeobuf(source).rows())
    monkeypatch.setattr(flatgeobuf_reader, "COLUMNS", 99)
    with pytest.raises(RefusedError, match=r"not as FlatGeobuf has them: a value of column 1, of 0"):
        list(open_flatgeobuf(source).rows())


@pytest.mark.parametrize("name", FILES)
def test_a_sample_of_a_large_layer_is_compared(
    load: Load, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_rows, "WHOLE_ROWS", 5)
    monkeypatch.setattr(held_rows, "SAMPLE_ROWS", 5)
    case = load(FILES[name](tmp_path), crs="EPSG:4326")
    assert case.facts[COMPARED].startswith(f"{ROWS} rows, the values of ")
    assert case.facts[COMPARED].endswith("a sample, with the first, the last, the longest and the extreme ones")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", FILES)
def test_what_the_first_reading_changes_is_found(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: str
) -> None:
    content = FILES[name](tmp_path)
    right = rows(load(content, crs="EPSG:4326"))
    monkeypatch.setattr(gdal_process, "CHILD", [sys.executable, "-c", FAULT.format(fault=FAULTS[fault])])
    # What the process counts and does not send is lost by us; GeoParquet has no reader by hand to say who is right.
    if fault == "a row that is lost" or name == "geoparquet":
        with pytest.raises(StageError, match="The batch is unharmed; report this"):
            load(content, crs="EPSG:4326")
        return
    case = load(content, crs="EPSG:4326")
    assert case.facts[BY_HAND]
    assert rows(case) == right


def rows(case: Case) -> list[tuple[object, ...]]:
    return case.connection.execute("select n, name, st_asbinary(geometry) from t order by n").fetchall()


SHAPES = (
    *("POINT (1 2)", "LINESTRING (0 0, 1 1, 2 3)", "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))"),
    *("MULTIPOINT ((1 2), (3 4))", "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3, 4 5))", "POLYGON ((0 0, 1 0, 1 1, 0 0))"),
    "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((2 2, 4 2, 4 4, 2 4, 2 2), (3 3, 3.5 3, 3.5 3.5, 3 3)))",
    "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))",
    "POINT Z (1 2 3)",
)


@pytest.mark.parametrize("kind", ["Unknown", "of each"])
def test_geometries_of_flatgeobuf_are_the_same_to_both_readers(load: Load, tmp_path: Path, kind: str) -> None:
    for number, text in enumerate(SHAPES):
        shape, path = shapely.from_wkt(text), tmp_path / f"{number}.fgb"
        kinds = {"geometry_type": "Unknown" if kind == "Unknown" else shape.geom_type + (" Z" if shape.has_z else "")}
        wkb = np.array([shapely.to_wkb(shape), None], object)
        options: dict[str, Any] = {"driver": "FlatGeobuf", "crs": "EPSG:4326", "SPATIAL_INDEX": "NO", **kinds}
        raw.write(path, wkb, [np.array(["a", "b"], object)], ["name"], **options)
        assert COMPARED in load(path.read_bytes()).facts, text


def test_values_of_flatgeobuf_of_every_type_are_the_same_to_both_readers(load: Load, tmp_path: Path) -> None:
    columns = {
        **{
            f"i{bits}": np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1], f"i{bits // 8}") for bits in (8, 16, 32, 64)
        },
        **{f"u{bits}": np.array([0, 2**bits - 1], f"u{bits // 8}") for bits in (8, 16, 32)},
        "f32": np.array([0.1, -1e30], "f4"),
        "f64": np.array([0.1, 5e-324], "f8"),
        "flag": np.array([True, False]),
        "text": np.array(["", None], object),
    }
    options: dict[str, Any] = {"driver": "FlatGeobuf", "geometry_type": "Point", "crs": "EPSG:4326"}
    raw.write(tmp_path / "x.fgb", shapely.to_wkb(POINTS[:2]), list(columns.values()), list(columns), **options)
    case = load((tmp_path / "x.fgb").read_bytes())
    assert case.facts[COMPARED] == "2 rows, the values of 2: all"
    assert set(columns) <= set(case.columns())


def test_a_flatgeobuf_that_ends_within_a_feature_is_refused(load: Load, tmp_path: Path) -> None:
    content = flatgeobuf(tmp_path)
    with pytest.raises(BatchRejectedError):
        load(content[:-20])
    (tmp_path / "cut.fgb").write_bytes(content[:-20])
    table = open_flatgeobuf(Source(str(tmp_path / "cut.fgb"), "FlatGeobuf", "FlatGeobuf", None, None, {}))
    with pytest.raises(RefusedError, match=r"features, 20, .*bytes of \d+ before it ends"):
        list(table.rows())


@pytest.mark.parametrize(
    ("written", "said", "found"),
    [
        (np.array([-1, 5], "i4"), 6, [2**32 - 1, 5]),
        (np.array([-1, 5], "i2"), 4, [2**16 - 1, 5]),
        (np.array([True, False]), 1, [1, 0]),
        (np.array([True, False]), 0, [1, 0]),
    ],
    ids=["unsigned", "short", "byte", "signed byte"],
)
def test_types_of_flatgeobuf_that_gdal_does_not_write_are_the_same_to_both_readers(
    load: Load, tmp_path: Path, written: Any, said: int, found: list[int]
) -> None:
    options: dict[str, Any] = {"driver": "FlatGeobuf", "geometry_type": "Point", "crs": "EPSG:4326"}
    raw.write(tmp_path / "x.fgb", shapely.to_wkb(POINTS[:2]), [written], ["n"], SPATIAL_INDEX="NO", **options)
    content = bytearray((tmp_path / "x.fgb").read_bytes())
    with open(tmp_path / "x.fgb", "rb") as opened:
        (column,) = flatgeobuf_header(opened)[0].tables(COLUMNS)
    # The header begins after the magic bytes and its own size.
    content[12 + column.place(TYPE)] = said
    case = load(bytes(content))
    assert case.facts[COMPARED] == "2 rows, the values of 2: all"
    assert case.column("n") == sorted(found)


def test_arcs_of_topojson_are_put_together_in_either_direction(load: Load) -> None:
    square = [[0, 0], [4, 0], [0, 4]]
    back = [[4, 4], [-4, 0], [0, -4]]
    inner = [[1, 1], [1, 0], [0, 1], [-1, -1]]
    geometries = [
        {"type": "Polygon", "arcs": [[0, 1], [2]], "properties": {"n": 1}, "id": "a"},
        {"type": "MultiPolygon", "arcs": [[[~1, ~0]]], "properties": {"n": 2}, "id": "b"},
        {"type": "LineString", "arcs": [~0], "properties": {"n": 3}, "id": "c"},
        {"type": "MultiLineString", "arcs": [[0], [1]], "properties": {"n": 4}, "id": "d"},
    ]
    case = load(topology(geometries, square, back, inner), crs="EPSG:4326")
    assert case.facts[COMPARED] == "4 rows, the values of 4: all"


def test_a_feature_of_topojson_without_a_geometry_is_kept(load: Load) -> None:
    point = {"type": "Point", "coordinates": [1, 2], "properties": {"n": 1}}
    case = load(topology([point, {"type": None, "properties": {"n": 2}}]), crs="EPSG:4326")
    assert "GDAL reads 1 rows, and the file holds 2" in case.facts[BY_HAND]
    assert case.column("n") == [1, 2]


def topology(geometries: list[Any], *arcs: Any) -> bytes:
    told = {
        "type": "Topology",
        "transform": {"scale": [0.1, 0.1], "translate": [10.3, 40.7]},
        "objects": {"shapes": {"type": "GeometryCollection", "geometries": geometries}},
        "arcs": arcs,
    }
    return json.dumps(told).encode()


def test_geoparquet_with_types_of_all_kinds_is_the_same_to_both_readers(load: Load, tmp_path: Path) -> None:
    point = shapely.to_wkb(POINTS[0])
    big = shapely.to_wkb(POINTS[0], byte_order=0)
    high = shapely.to_wkb(shapely.from_wkt("POINT Z (1 2 3)"))
    told = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    table = pa.table(
        {
            "geometry": pa.array([point, big, high, None], pa.binary()),
            "ns": pa.array([1, 2, None, 2**60], pa.timestamp("ns", "UTC")),
            "many": pa.array([[1, 2], [], None, [3]], pa.list_(pa.int64())),
            "exact": pa.array([None, "1.20", "3.45", "-7.00"]).cast(pa.decimal128(9, 2)),
            "word": pa.array(["a", "b", "a", None]).dictionary_encode(),
            "deep": pa.array([{"a": 1.5}, None, {"a": None}, {"a": float("nan")}]),
            "none": pa.array([float("nan"), 0.0, -0.0, None]),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(told)}), sink)
    assert load(sink.getvalue()).facts[COMPARED] == "4 rows, the values of 4: all"


def test_geoparquet_whose_geometries_are_written_anew_is_the_same_to_both_readers(load: Load) -> None:
    """A ring that PostGIS refuses is rejected, for which all are parsed, and those of the other byte order change."""
    open_ring = shapely.to_wkb(shapely.from_wkt("POLYGON ((0 0, 1 0, 1 1, 0 0))"))[:-16] + np.array([7.0, 7]).tobytes()
    told = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    table = pa.table({"geometry": pa.array([*shapely.to_wkb(POINTS, byte_order=0), open_ring], pa.binary())})
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(told)}), sink)
    case = load(sink.getvalue())
    assert case.facts[COMPARED].startswith(f"{ROWS + 1} rows, the values of {ROWS}: all")
