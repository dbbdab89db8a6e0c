"""What loading may cost and must tell: bounded memory, lines while it works, and of a failure what it was."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest
import shapely
from benchmarks.spatial.processes import run, weighing
from pyogrio.raw import write_arrow

from terrane.postgres import PostgresResource
from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.loading import batch_loader
from terrane_spatial.loading.batch_loader import load_files
from terrane_spatial.loading.meter import Meter, StoppedError
from terrane_spatial.runs import run_schema

RUN_ID = "speed"
MEMORY_MB = 300


def geopackage(path: Path, rows: int, corners: int = 16) -> Path:
    """Polygons with a text, a double and a time stamp."""
    random = np.random.default_rng(5)
    x, y = random.uniform(-10, 30, rows), random.uniform(35, 60, rows)
    shapes = shapely.buffer(shapely.points(x, y), 1e-3, quad_segs=corners // 4)
    columns = {
        "name": pa.array([f"Parcelle n° {i}" for i in range(rows)]),
        "value": pa.array(random.normal(100, 30, rows)),
        "ts": pa.array(np.arange(rows) * 1001 + 1_600_000_000_000, pa.timestamp("ms")),
        "geometry": pa.array(shapely.to_wkb(shapes), pa.binary()),
    }
    write_arrow(
        pa.table(columns),
        path,
        driver="GPKG",
        layer="d",
        geometry_type="Polygon",
        crs="EPSG:4326",
        geometry_name="geometry",
    )
    return path


def file_of(name: str) -> ManifestFile:
    return ManifestFile(key=f"b/{name}.gpkg", size=1, sha256="0" * 64)


class Batch:
    """Files of a batch on a database of their own, with what was said and observed while they were loaded."""

    def __init__(self, postgres: PostgresResource, sources: Mapping[str, Path]):
        self.postgres = postgres
        self.sources = sources
        self.said: list[str] = []
        self.observed: list[Mapping[str, Any]] = []
        self.at_once = 0
        self._fetching = 0
        self._lock = threading.Lock()
        with run_schema.connect(postgres, RUN_ID) as connection:
            run_schema.create(connection, RUN_ID, "b")

    def fetch(self, file: ManifestFile, folder: Path) -> Path:
        with self._lock:
            self._fetching += 1
            self.at_once = max(self.at_once, self._fetching)
        copied = Path(shutil.copy(self.sources[file.table], folder / f"{file.table}.gpkg"))
        time.sleep(0.3)
        with self._lock:
            self._fetching -= 1
        return copied

    def load(self, at_once: int | None = None) -> list[Any]:
        return load_files(
            [file_of(name) for name in self.sources],
            self.fetch,
            lambda: run_schema.connect(self.postgres, RUN_ID),
            batch_loader.Progress(self.said.append, self.observed.append),
            at_once,
        )

    def tables(self) -> set[str]:
        with run_schema.connect(self.postgres, RUN_ID) as connection:
            return set(run_schema.loads(connection))


@pytest.mark.integration
def test_files_of_a_batch_are_loaded_at_once_and_come_back_in_their_order(make_database, tmp_path: Path) -> None:
    sources = {name: geopackage(tmp_path / f"{name}.gpkg", rows) for name, rows in (("b", 300), ("a", 20), ("c", 1))}
    batch = Batch(make_database("postgis"), sources)
    loaded = batch.load(at_once=2)
    assert [(each.table, each.rows) for each in loaded] == [("b", 300), ("a", 20), ("c", 1)]
    assert batch.at_once == 2
    assert batch.tables() == {"a", "b", "c"}


@pytest.mark.integration
def test_progress_is_told_and_observed_while_rows_are_sent(
    make_database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_loader, "TELL_EVERY_S", 0.05)
    batch = Batch(make_database("postgis"), {"many": geopackage(tmp_path / "many.gpkg", 100_000)})
    batch.load()
    under_way = [line for line in batch.said if line.endswith("so far")]
    assert under_way, batch.said
    assert "rows/s" in batch.said[-1]
    assert "b/many.gpkg: 100,000 rows" in batch.said[-1]
    counted = [figures["b/many.gpkg"]["rows"] for figures in batch.observed]
    assert counted == sorted(counted)
    assert counted[-1] == 100_000
    assert batch.observed[-1]["b/many.gpkg"]["bytes"] > 100_000 * 200


@pytest.mark.integration
def test_a_file_that_fails_stops_the_others_and_is_what_is_told(make_database, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gpkg"
    bad.write_bytes(b"SQLite format 3\0" + bytes(1000))
    many = geopackage(tmp_path / "many.gpkg", 200_000)
    batch = Batch(make_database("postgis"), {"many": many, "bad": bad})
    with pytest.raises(BatchRejectedError, match=r"b/bad\.gpkg"):
        batch.load(at_once=2)
    assert "bad" not in batch.tables()


@pytest.mark.unit
def test_a_loader_that_is_to_stop_does_so_at_its_next_batch() -> None:
    meter = Meter("x")
    meter.begin()
    meter.add(10, 100)
    meter.stop.set()
    with pytest.raises(StoppedError):
        meter.add(10, 100)
    assert (meter.rows, meter.bytes) == (10, 100)


@pytest.mark.integration
def test_a_large_file_with_processors_of_its_own_is_copied_over_two_connections(
    make_database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = make_database("postgis")

    def connect() -> AbstractContextManager[psycopg.Connection]:
        return run_schema.connect(postgres, RUN_ID)

    small, large = tmp_path / "small.gpkg", tmp_path / "large.gpkg"
    small.touch()
    large.touch()
    os.truncate(large, batch_loader.LARGE_BYTES)
    for path, processors, at_once, number in (
        (large, 4, 1, 2),
        (large, 3, 1, 1),
        (large, 4, 2, 1),
        (large, 8, 2, 2),
        (small, 8, 1, 1),
    ):
        monkeypatch.setattr(batch_loader, "processors", lambda processors=processors: processors)
        with batch_loader.connections_for(path, connect, at_once) as connections:
            assert len(connections) == number


@pytest.mark.unit
def test_a_container_s_quota_counts_as_its_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(batch_loader, "CPU_MAX", quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for told, processors in (("max 100000", 8), ("350000 100000", 3), ("20000 100000", 1), ("nonsense", 8)):
        quota.write_text(told)
        assert batch_loader.processors() == processors


LOAD = """
import json, os, sys
from pathlib import Path
from terrane_spatial.runs import run_schema
from terrane_spatial.loading.batch_loader import connections_for
from terrane_spatial.loading.table_loader import load_file
from terrane_spatial.intake.manifest import ManifestFile
from terrane.postgres import PostgresResource

postgres, path = PostgresResource(**json.loads(os.environ["STORE"])), Path(sys.argv[1])
file = ManifestFile(key="b/many.gpkg", size=1, sha256="0" * 64)
with connections_for(path, lambda: run_schema.connect(postgres, "speed")) as (connection, *beside):
    rows = load_file(connection, path, file, beside=beside).rows
print(json.dumps({"rows": rows}))
"""


@pytest.fixture
def peaks(make_database, tmp_path: Path) -> dict[int, float]:
    """The peak of a load in MB: of few rows, of many, and of few with a hundred thousand corners each."""
    peaks = {}
    # The fewest rows take long enough that memory is looked at some times when they are all under way.
    for rows, corners in ((100_000, 16), (500_000, 16), (120, 100_000)):
        batch = Batch(make_database("postgis"), {})
        path = geopackage(tmp_path / "many.gpkg", rows, corners)
        environment = {**os.environ, "STORE": json.dumps(batch.postgres.model_dump())}
        with weighing():
            done = run([sys.executable, "-c", LOAD, str(path)], environment)
        assert done.told["rows"] == rows
        peaks[rows] = done.peak_mb
        path.unlink()
    return peaks


@pytest.mark.integration
@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows_nor_with_their_size(peaks: dict[int, float]) -> None:
    assert peaks[500_000] < peaks[100_000] + 60, peaks
    assert peaks[120] < MEMORY_MB + 130, peaks
    assert peaks[500_000] < MEMORY_MB, peaks
