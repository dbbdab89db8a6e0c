"""Copying over several connections: every row once, and nothing of a file that fails."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
import shapely
from pyogrio.raw import write_arrow

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.loading import copy_format
from terrane_spatial.loading.meter import Meter, StoppedError
from terrane_spatial.loading.postgres_copy import copy_rows
from terrane_spatial.loading.table_loader import load_file
from terrane_spatial.runs import run_schema

pytestmark = pytest.mark.integration

RUN_ID, ROWS = "copying", 50_000


@pytest.fixture
def connections(make_database: Any) -> Iterator[list[psycopg.Connection]]:
    """Three connections of a run; two copy, and the last looks."""
    postgres = make_database("postgis")
    with ExitStack() as opened:
        with run_schema.connect(postgres, RUN_ID) as first:
            run_schema.create(first, RUN_ID, "b")
        yield [opened.enter_context(run_schema.connect(postgres, RUN_ID)) for _ in range(3)]


def batch(first: int, rows: int) -> tuple[int, list[memoryview | bytes]]:
    return rows, copy_format.encode(pa.record_batch({"n": pa.array(range(first, first + rows), pa.int64())}))


def made(connections: list[psycopg.Connection]) -> list[psycopg.Connection]:
    connections[0].execute("create unlogged table t (n bigint)")
    return connections[:2]


def geopackage(path: Path, wkb: list[bytes]) -> Path:
    table = pa.table({"n": pa.array(range(len(wkb)), pa.int64()), "geometry": pa.array(wkb, pa.binary())})
    write_arrow(
        table, path, driver="GPKG", layer="d", geometry_name="geometry", geometry_type="Unknown", crs="EPSG:4326"
    )
    return path


def file() -> ManifestFile:
    return ManifestFile(key="b/t.gpkg", size=1, sha256="0" * 64)


def test_every_row_arrives_once_and_both_connections_copy(connections: list[psycopg.Connection]) -> None:
    meter, takers = Meter("t"), set()

    def batches() -> Iterator[tuple[int, list[memoryview | bytes]]]:
        for at in range(50):
            takers.add(threading.get_ident())
            time.sleep(0.001)
            yield batch(at * 100, 100)

    assert copy_rows(made(connections), "t", batches(), meter) == 5000
    assert connections[2].execute("select count(*), count(distinct n), max(n) from t").fetchone() == (5000, 5000, 4999)
    assert (meter.rows, len(takers)) == (5000, 2)


def test_the_error_of_one_ends_the_other_and_is_the_one_told(connections: list[psycopg.Connection]) -> None:
    def batches() -> Iterator[tuple[int, list[memoryview | bytes]]]:
        yield batch(0, 10)
        yield 1, [struct.pack(">hi", 1, 16) + bytes(16)]
        for _ in range(100):
            yield batch(10, 10)

    with pytest.raises(psycopg.DataError, match="incorrect binary data format"):
        copy_rows(made(connections), "t", batches(), Meter("t"))


def test_a_meter_that_is_to_stop_ends_both(connections: list[psycopg.Connection]) -> None:
    meter = Meter("t")

    def batches() -> Iterator[tuple[int, list[memoryview | bytes]]]:
        for at in range(10**9):
            if at == 20:
                meter.stop.set()
            yield batch(at, 1)

    with pytest.raises(StoppedError):
        copy_rows(made(connections), "t", batches(), meter)
    assert connections[2].execute("select count(*) from t").fetchone() == (0,)


def test_a_file_is_the_same_over_two_connections(connections: list[psycopg.Connection], tmp_path: Path) -> None:
    points = [bytes(each) for each in shapely.to_wkb(shapely.points([(at / 1000, at / 2000) for at in range(ROWS)]))]
    path = geopackage(tmp_path / "t.gpkg", points)
    whole = "select n, st_asbinary(geometry) from t order by n"
    loaded = load_file(connections[0], path, file(), beside=connections[1:2])
    over_two = connections[2].execute(whole).fetchall()
    connections[0].execute("drop table t; delete from _loads")
    assert load_file(connections[0], path, file()) == loaded
    assert connections[2].execute(whole).fetchall() == over_two
    assert len(over_two) == ROWS


def test_of_a_file_that_fails_no_table_is_left_whoever_had_copied(
    connections: list[psycopg.Connection], tmp_path: Path
) -> None:
    far = [bytes(each) for each in shapely.to_wkb(shapely.points([(at + 1000.0, 5000.0) for at in range(ROWS)]))]
    path = geopackage(tmp_path / "t.gpkg", far)
    for beside in (connections[1:2], []):
        with pytest.raises(BatchRejectedError, match="not on Earth"):
            load_file(connections[0], path, file(), beside=beside)
        assert connections[2].execute("select to_regclass('t'), (select count(*) from _loads)").fetchone() == (None, 0)


def test_a_row_that_postgis_refuses_is_rejected_over_two_connections_too(
    connections: list[psycopg.Connection], tmp_path: Path
) -> None:
    good = shapely.to_wkb(shapely.box(0, 0, 1, 1))
    open_ring = bytearray(good)
    open_ring[-16:] = shapely.to_wkb(shapely.Point(0.5, 0.5))[-16:]
    shapes = [good] * ROWS
    shapes[ROWS // 2] = bytes(open_ring)
    loaded = load_file(connections[0], geopackage(tmp_path / "t.gpkg", shapes), file(), beside=connections[1:2])
    assert (loaded.rows, sum(loaded.facts["rejected"].values())) == (ROWS - 1, 1)
