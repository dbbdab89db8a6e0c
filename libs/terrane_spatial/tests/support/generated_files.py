"""Adversarial files made at random, by format, each with the rows that a reader has to find in it.

Every format is written by hand or by a library that reads nothing of ours, so that the right answer is what was
written. A seed gives the same file for ever.
"""

from __future__ import annotations

import csv
import io
import json
import random
import sqlite3
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq

KEY = "row_no"
TEXTS = (
    *(
        "",
        "a",
        "Ünï",
        "日本",
        "x" * 300,
        'say "so"',
        "a,b",
        "a;b",
        "tab\there",
        "line\nbreak",
        " spaces ",
        "null",
        "NaN",
        "0",
    ),
    *(
        "007",
        "1.20",
        "+49 30",
        "1e5",
        "true",
        "2020-02-30",
        "2020-01-01",
        "2020-01-01T10:00:00Z",
        "12:30",
        "[1, 2]",
        "{}",
    ),
    *("'; drop table t; --", "\\N", "é", "e\u0301", "\u200b", "🦉", "-", "1,5", "1.234,50", "0x1F", "١٢٣"),
)
INTEGERS = (
    0,
    1,
    -1,
    127,
    128,
    255,
    32767,
    32768,
    65535,
    70000,
    2**31 - 1,
    2**31,
    -(2**31),
    2**53 + 1,
    2**63 - 1,
    -(2**63),
)
FLOATS = (0.0, -0.5, 0.1, 1 / 3, 1e-300, 1e300, 69.34615525302567, 5e-324, 123456789.123456789, -1e-7)
NAMES = (
    "name",
    "Größe",
    "GROSSE",
    "select",
    "bbox",
    "geometry",
    "xmin",
    "id",
    "a b",
    "x" * 70,
    "n-1",
    "日本",
    "1st",
    "fid2",
)


@dataclass
class Made:
    """A file: its bytes, what the manifest says beside, its columns in their order, and its rows by their number."""

    content: bytes
    rows: list[dict[str, Any]]
    points: list[tuple[float, float]]
    columns: list[str]
    told: dict[str, Any] = field(default_factory=dict)


Maker = Callable[[random.Random], Made]


def _table(
    rng: random.Random, kinds: dict[str, Callable[[], Any]], names: tuple[str, ...] = NAMES
) -> tuple[list[str], list[dict[str, Any]], list[tuple[float, float]]]:
    """Columns of some of the names, each of one kind or of several, with nulls; and a point for each row."""
    chosen = rng.sample(names, rng.randint(1, 5))
    columns: dict[str, Callable[[], Any]] = {}
    for name in chosen:
        first, second = (kinds[rng.choice(list(kinds))] for _ in range(2))
        nulls, mixed = rng.choice((0, 0.3, 0.9)), rng.choice((0, 0, 0.2))

        def one(first: Any = first, second: Any = second, nulls: float = nulls, mixed: float = mixed) -> Any:
            if rng.random() < nulls:
                return None
            return (second if rng.random() < mixed else first)()

        columns[name] = one
    rows = [{KEY: at, **{name: make() for name, make in columns.items()}} for at in range(rng.randint(1, 30))]
    points = [(rng.uniform(-180, 180), rng.uniform(-90, 90)) for _ in rows]
    return [KEY, *chosen], rows, points


def _kinds(rng: random.Random) -> dict[str, Callable[[], Any]]:
    return {
        "text": lambda: rng.choice(TEXTS),
        "integer": lambda: rng.choice(INTEGERS),
        "float": lambda: rng.choice(FLOATS),
        "flag": lambda: rng.random() < 0.5,
    }


def geojson(rng: random.Random) -> Made:
    kinds = _kinds(rng) | {"list": lambda: rng.choice([[1, 2], ["a"], [], [None, 1.5], {"k": [1]}])}
    columns, rows, points = _table(rng, kinds)
    features = [_feature(row, point) for row, point in zip(rows, points, strict=True)]
    content = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=rng.random() < 0.5)
    return Made(content.encode(), rows, points, columns)


def geojsonseq(rng: random.Random) -> Made:
    columns, rows, points = _table(rng, _kinds(rng))
    if len(rows) < 2:
        return geojsonseq(rng)
    mark = rng.choice(("", "\x1e"))
    lines = [f"{mark}{json.dumps(_feature(row, point))}\n" for row, point in zip(rows, points, strict=True)]
    return Made("".join(lines).encode(), rows, points, columns)


def _feature(row: dict[str, Any], point: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Feature", "properties": row, "geometry": {"type": "Point", "coordinates": list(point)}}


def delimited(rng: random.Random) -> Made:
    """CSV, in which everything is text and nothing is null."""
    columns, rows, points = _table(rng, {"text": lambda: rng.choice(TEXTS)}, tuple(n for n in NAMES if n != "geometry"))
    sink = io.StringIO()
    writer = csv.writer(
        sink, delimiter=rng.choice(",;|"), lineterminator=rng.choice(("\n", "\r\n")), quoting=csv.QUOTE_ALL
    )
    writer.writerow([*columns, "lon", "lat"])
    for row, (x, y) in zip(rows, points, strict=True):
        writer.writerow([*("" if row[name] is None else row[name] for name in columns), repr(x), repr(y)])
    # Line ends within a field are the field's own, of which a text reader would make one.
    found = [{n: str(v) if n == KEY else v or "" for n, v in row.items()} for row in rows]
    return Made(sink.getvalue().encode(), found, points, columns, {"crs": "EPSG:4326"})


def geopackage(rng: random.Random) -> Made:
    """Written by SQL, so that a column's values need not be of the type that it declares."""
    columns, rows, points = _table(rng, _kinds(rng))
    types = ("TEXT", "TEXT(5)", "INTEGER", "SMALLINT", "TINYINT", "MEDIUMINT", "REAL", "BOOLEAN", "DATE", "DATETIME")
    odd = ("VARCHAR(10)", "BIGINT", "DECIMAL(10,2)", "JSON", "uuid")
    declared = {name: rng.choice(types if rng.random() < 0.8 else odd) for name in columns if name != KEY}
    geometry = "geom" if "geometry" in columns else "geometry"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.gpkg"
        with sqlite3.connect(path) as connection:
            connection.executescript(GEOPACKAGE.format(geometry=geometry))
            told = "".join(f", {_quoted(name)} {kind}" for name, kind in declared.items())
            connection.execute(f"create table d (fid INTEGER PRIMARY KEY, {geometry} POINT, {KEY} INTEGER{told})")
            marks = ", ".join("?" * (len(columns) + 1))
            for row, (x, y) in zip(rows, points, strict=True):
                blob = struct.pack("<2sBBiBI2d", b"GP", 0, 1, 4326, 1, 1, x, y)
                names = ", ".join(_quoted(name) for name in columns)
                connection.execute(f"insert into d ({geometry}, {names}) values ({marks})", [blob, *row.values()])
            # What SQLite's affinities make of the values is what the file holds.
            names = ", ".join(_quoted(name) for name in columns)
            found = [dict(zip(columns, held, strict=True)) for held in connection.execute(f"select {names} from d")]
        connection.close()
        return Made(path.read_bytes(), found, points, columns)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


GEOPACKAGE = """
pragma application_id = 1196444487; pragma user_version = 10300;
create table gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
 organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
insert into gpkg_spatial_ref_sys values ('WGS 84', 4326, 'EPSG', 4326, 'GEOGCS["WGS 84",DATUM["WGS_1984",'
 || 'SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],'
 || 'AUTHORITY["EPSG","4326"]]', '');
create table gpkg_contents (table_name TEXT PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT, description TEXT,
 last_change DATETIME NOT NULL DEFAULT '2020-01-01T00:00:00.000Z', min_x DOUBLE, min_y DOUBLE, max_x DOUBLE,
 max_y DOUBLE, srs_id INTEGER);
create table gpkg_geometry_columns (table_name TEXT PRIMARY KEY, column_name TEXT NOT NULL,
 geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL);
insert into gpkg_contents (table_name, data_type, identifier, srs_id) values ('d', 'features', 'd', 4326);
insert into gpkg_geometry_columns values ('d', '{geometry}', 'POINT', 4326, 0, 0);
"""


def geoparquet(rng: random.Random) -> Made:
    kinds = _kinds(rng)
    columns, rows, points = _table(rng, {"text": kinds["text"]}, tuple(n for n in NAMES if n != "geometry"))
    types = {
        name: rng.choice([pa.int8(), pa.uint16(), pa.int64(), pa.float64(), pa.bool_(), pa.string()])
        for name in columns
    }
    types[KEY] = pa.int32()
    values = {
        pa.int8(): lambda: rng.randint(-128, 127),
        pa.uint16(): lambda: rng.choice((0, 65535)),
        pa.int64(): lambda: rng.choice(INTEGERS),
        pa.float64(): lambda: rng.choice(FLOATS),
        pa.bool_(): lambda: rng.random() < 0.5,
        pa.string(): lambda: rng.choice(TEXTS),
    }
    for row in rows:
        row.update({n: None if rng.random() < 0.3 else values[t]() for n, t in types.items() if n != KEY})
    arrays = {name: pa.array([row[name] for row in rows], types[name]) for name in columns}
    arrays["geometry"] = pa.array([struct.pack("<BI2d", 1, 1, *point) for point in points], pa.binary())
    geo: dict[str, Any] = {"version": "1.1.0", "primary_column": "geometry"}
    geo["columns"] = {"geometry": {"encoding": "WKB", "geometry_types": ["Point"]}}
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays).replace_schema_metadata({"geo": json.dumps(geo)}), sink)
    return Made(sink.getvalue(), rows, points, columns)


def shapefile(rng: random.Random) -> Made:
    """Points and a .dbf, byte for byte, in an encoding that the .cpg names as ArcGIS and others do."""
    cpg, codec = rng.choice((("UTF-8", "utf-8"), ("ISO-8859-1", "latin-1"), ("1251", "cp1251"), ("OEM 866", "cp866")))
    letters = {"utf-8": "Größe 日", "latin-1": "Größe é", "cp1251": "Москва", "cp866": "Ёлка"}[codec]
    fields = [
        (KEY, "N", 9, 0),
        *rng.sample([("T", "C", 20, 0), ("I", "N", 20, 0), ("F", "N", 19, 6), ("L", "L", 1, 0), ("D", "D", 8, 0)], 3),
    ]
    rows, records = [], b""
    for at in range(rng.randint(1, 20)):
        row: dict[str, Any] = {}
        record = b" "
        for name, kind, width, decimals in fields:
            value, text = _dbf_value(rng, at if name == KEY else None, kind, decimals, letters)
            row[name] = value
            record += text.encode(codec)[:width].ljust(width) if kind == "C" else text.encode("ascii").rjust(width)
        rows.append(row)
        records += record
    points = [(rng.uniform(-180, 180), rng.uniform(-90, 90)) for _ in rows]
    head = b"".join(struct.pack("<11sc4xBB14x", n.encode(), k.encode(), w, d) for n, k, w, d in fields)
    size = 1 + sum(width for _, _, width, _ in fields)
    dbf = struct.pack("<4BIHH20x", 3, 120, 1, 1, len(rows), 33 + len(head), size) + head + b"\r" + records + b"\x1a"
    shapes = [struct.pack(">2i", at + 1, 10) + struct.pack("<i2d", 1, *point) for at, point in enumerate(points)]
    index = [struct.pack(">2i", 50 + 14 * at, 10) for at in range(len(points))]
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for suffix, parts in (("shp", shapes), ("shx", index)):
            words = 50 + sum(map(len, parts)) // 2
            head = struct.pack(">i20xi", 9994, words) + struct.pack("<2i8d", 1000, 1, -180, -90, 180, 90, 0, 0, 0, 0)
            archive.writestr(f"x.{suffix}", head + b"".join(parts))
        archive.writestr("x.dbf", dbf)
        archive.writestr("x.cpg", cpg)
        archive.writestr("x.prj", WGS84)
    return Made(sink.getvalue(), rows, points, [name for name, *_ in fields])


WGS84 = (
    'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]'
)


def _dbf_value(rng: random.Random, number: int | None, kind: str, decimals: int, letters: str) -> tuple[Any, str]:
    """A value and how a .dbf has it."""
    if number is not None:
        return number, str(number)
    if rng.random() < 0.3:
        return None, ""
    if kind == "C":
        text = rng.choice((letters, "a", "1.20", "007", 'q"', "x" * 20))
        return text, text
    if kind == "N" and decimals:
        text = rng.choice(("0.100000", "12.5", "-3.25", "1e5", "12,50"))
        return (text if "," in text else float(text)), text
    if kind == "N":
        text = rng.choice(("0", "9007199254740993", "12345678901234567891", "-5", "70000"))
        return int(text), text
    if kind == "L":
        text = rng.choice("TFYN?")
        return {"T": True, "Y": True, "F": False, "N": False, "?": None}[text], text
    text = rng.choice(("20200229", "20200230", "19000101", "2020-1-5"))
    return text, text


def gml(rng: random.Random) -> Made:
    """Elements without a schema, so all of them are text, and a number only where it is written as one."""
    names = ("name", "code", "height", "ver")
    texts = tuple(t for t in TEXTS if t == t.strip() and "\n" not in t and "\t" not in t and t and len(t) < 100)
    columns, rows, points = _table(rng, {"text": lambda: rng.choice(texts)}, (*names, "note"))
    features = []
    for row, (x, y) in zip(rows, points, strict=True):
        parts = "".join(f"<f:{n}>{escape(str(v))}</f:{n}>" for n, v in row.items() if v is not None)
        place = f'<gml:Point srsName="EPSG:4326"><gml:pos>{x!r} {y!r}</gml:pos></gml:Point>'
        features.append(f"<gml:featureMember><f:p><f:g>{place}</f:g>{parts}</f:p></gml:featureMember>")
    root = '<f:c xmlns:f="http://example.org/f" xmlns:gml="http://www.opengis.net/gml">'
    return Made(f"{root}{''.join(features)}</f:c>".encode(), rows, points, columns)


MAKERS: dict[str, Maker] = {
    "geojson": geojson,
    "geojsonseq": geojsonseq,
    "csv": delimited,
    "geopackage": geopackage,
    "geoparquet": geoparquet,
    "shapefile": shapefile,
    "gml": gml,
}
