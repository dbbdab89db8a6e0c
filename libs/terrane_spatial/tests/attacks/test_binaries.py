"""Binary formats whose numbers lie: counts, lengths, depths and how much a page holds."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyogrio import raw

from terrane_spatial.reading import vector_reader

pytestmark = pytest.mark.unit

POINT = shapely.to_wkb(shapely.Point(1, 2))


def geoparquet(geometry: list[bytes], geo: Any = None, **columns: Any) -> bytes:
    column = {"encoding": "WKB", **(geo if isinstance(geo, dict) else {})}
    told = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    table = pa.table({"geometry": pa.array(geometry, pa.binary()), **columns})
    text = geo if isinstance(geo, bytes) else json.dumps(told).encode()
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"geo": text}), sink, compression="zstd")
    return sink.getvalue()


def nested(depth: int) -> bytes:
    """A collection in a collection in a collection."""
    return struct.pack("<BII", 1, 7, 1) * depth + POINT


@pytest.mark.parametrize("depth", [100, 10_000, 1_000_000])
def test_geometries_nested_too_deeply_end_no_process(attack: Callable[..., Any], depth: int) -> None:
    high = struct.pack("<BII", 1, 1007, 1) * depth + shapely.to_wkb(shapely.from_wkt("POINT Z (1 2 3)"))
    attack(geoparquet([nested(depth), high, POINT]))


@pytest.mark.parametrize(
    "value",
    [
        struct.pack("<BII", 1, 2, 0xFFFFFFFF),
        struct.pack("<BII", 1, 3, 0x7FFFFFFF) + struct.pack("<I", 0x7FFFFFFF),
        struct.pack("<BI", 1, 0xFFFFFFFF),
        struct.pack("<BI", 7, 1) + bytes(16),
        b"\x01\x01\0\0\x20" + bytes(20),
        b"\x01\xe9\x03\0\0" + b"\xff" * 24,
        struct.pack("<BII", 1, 1002, 0xFFFFFFFF) + b"\xff" * 64,
    ],
)
def test_a_geometry_whose_count_lies_ends_no_process(attack: Callable[..., Any], value: bytes) -> None:
    attack(geoparquet([value, POINT]))


@pytest.mark.parametrize(
    "geo",
    [b"{" * 100_000, b"[" * 100_000, b"", b"[]", b'{"primary_column": 1}', b'{"primary_column": [], "columns": {}}'],
)
def test_metadata_that_are_not_geoparquets_are_refused(attack: Callable[..., Any], geo: bytes) -> None:
    assert "metadata" in attack(geoparquet([POINT], geo)).refused


def test_a_system_that_names_a_file_or_an_address_is_not_looked_up(attack: Callable[..., Any], canary: Any) -> None:
    for crs in (
        str(canary.secret),
        canary.url,
        {"type": "x", "a": "a" * 10_000_000},
        f"+init={canary.secret}:1",
        [[[]]],
    ):
        attack(geoparquet([POINT], {"crs": crs}))


def test_a_page_that_holds_thousands_of_times_its_bytes_is_refused(
    attack: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_reader, "FREE_BYTES", 16 << 20)
    content = geoparquet([POINT] * 2_000_000, text=pa.array(["a" * 50] * 2_000_000))
    assert len(content) < 1 << 20
    assert "far more than a file of its size holds" in attack(content).refused


def test_one_value_that_fills_the_memory_is_refused(attack: Callable[..., Any]) -> None:
    content = geoparquet([POINT] * 40, text=pa.array(["a" * (32 << 20)] * 40))
    assert len(content) < 16 << 20
    assert attack(content).refused


@pytest.fixture(scope="module")
def flatgeobuf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("fgb") / "x.fgb"
    points = shapely.to_wkb([shapely.Point(i, i) for i in range(50)])
    names = np.array([f"n{i}" for i in range(50)], object)
    raw.write(path, points, [names], ["name"], driver="FlatGeobuf", geometry_type="Point", crs="EPSG:4326")
    return path.read_bytes()


@pytest.mark.parametrize("at", range(8, 200, 12))
def test_a_flatgeobuf_whose_offsets_lie_ends_no_process(attack: Callable[..., Any], flatgeobuf: bytes, at: int) -> None:
    attack(flatgeobuf[:at] + b"\xff\xff\xff\x7f" + flatgeobuf[at + 4 :])
