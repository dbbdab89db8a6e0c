"""Exporting from PostGIS: along a Hilbert curve, exact, with boxes that hold what they box, in bounded memory."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from benchmarks.spatial.processes import run, weighing

from terrane.postgres import PostgresResource
from terrane_spatial.publishing import postgis_export
from terrane_spatial.runs import run_schema

pytestmark = pytest.mark.integration

RUN_ID = "export"
MEMORY_MB = 400
POLYGONS = """
create unlogged table out_parcels as
select i as n, 'Parcelle n° ' || i as name, random() * 1e-300 as tiny,
       st_buffer(st_setsrid(st_makepoint(random() * 40 - 10, random() * 25 + 35), 4326), 1e-3, 4) as geometry
from generate_series(1, %s) i
"""
EXPORT = """
import json, os, sys
from pathlib import Path
from terrane_spatial.publishing.postgis_export import write_geoparquet
from terrane.postgres import PostgresResource

written = write_geoparquet(PostgresResource(**json.loads(os.environ["STORE"])), "export", "parcels", Path(sys.argv[1]))
print(json.dumps({"rows": written.rows}))
"""


def polygons(postgres: PostgresResource, rows: int) -> None:
    with run_schema.connect(postgres, RUN_ID) as connection:
        run_schema.create(connection, RUN_ID, "b")
        connection.execute("select setseed(0.5)")
        connection.execute(POLYGONS.replace("%s", str(rows)).encode())


def test_rows_lie_along_a_hilbert_curve_and_none_is_lost_or_changed(make_database, tmp_path: Path) -> None:
    postgres = make_database("postgis")
    polygons(postgres, 5000)
    written = postgis_export.write_geoparquet(postgres, RUN_ID, "parcels", tmp_path / "x.parquet")
    table = pq.read_table(written.path)
    shapes = shapely.from_wkb(table.column("geometry").to_pylist())
    with run_schema.connect(postgres, RUN_ID) as connection:
        rows = connection.execute(
            "select n, name, tiny, st_asbinary(geometry) from out_parcels order by geometry"
        ).fetchall()
    assert [tuple(row.values())[:4] for row in table.select(["n", "name", "tiny", "geometry"]).to_pylist()] == rows
    middles = shapely.get_coordinates(shapely.centroid(shapes))
    by_number = middles[np.argsort(table.column("n").to_numpy())]
    assert np.hypot(*np.diff(middles, axis=0).T).mean() < 0.1 * np.hypot(*np.diff(by_number, axis=0).T).mean()


def test_no_geometry_sticks_out_of_its_box_and_a_row_without_one_has_none(make_database, tmp_path: Path) -> None:
    postgres = make_database("postgis")
    polygons(postgres, 2000)
    with run_schema.connect(postgres, RUN_ID) as connection:
        connection.execute("insert into out_parcels values (0, 'none', 0, null)")
    written = postgis_export.write_geoparquet(postgres, RUN_ID, "parcels", tmp_path / "x.parquet")
    table = pq.read_table(written.path)
    boxes = table.column("bbox").to_pylist()
    (nowhere,) = [at for at, n in enumerate(table.column("n").to_pylist()) if n == 0]
    assert boxes.pop(nowhere) is None
    shapes = [wkb for wkb in table.column("geometry").to_pylist() if wkb is not None]
    bounds = shapely.bounds(shapely.from_wkb(shapes))
    stored = np.array([[box[edge] for edge in ("xmin", "ymin", "xmax", "ymax")] for box in boxes])
    assert (stored[:, :2] <= bounds[:, :2]).all()
    assert (stored[:, 2:] >= bounds[:, 2:]).all()
    assert np.abs(stored - bounds).max() < 1e-5
    assert written.bounds == tuple(np.concatenate([bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)]))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(make_database, tmp_path: Path) -> None:
    postgres, peaks = make_database("postgis"), {}
    for rows in (200_000, 600_000):
        polygons(postgres, rows)
        environment = {**os.environ, "STORE": json.dumps(postgres.model_dump())}
        with weighing():
            done = run([sys.executable, "-c", EXPORT, str(tmp_path / "x.parquet")], environment)
        assert done.told["rows"] == rows
        peaks[rows] = done.peak_mb
    assert peaks[600_000] < peaks[200_000] + 70, peaks
    assert peaks[600_000] < MEMORY_MB, peaks
