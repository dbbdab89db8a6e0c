"""GeoParquet: boxes that hold what they box, and row groups that are full."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from terrane_spatial.publishing import geoparquet

pytestmark = pytest.mark.unit


def batches(points: np.ndarray, rows: int) -> tuple[list[pa.RecordBatch], pa.Schema]:
    wkb = shapely.to_wkb(shapely.points(points))
    names = ["n", "geometry", *geoparquet.EDGE_COLUMNS]
    edges = [points[:, 0], points[:, 1], points[:, 0], points[:, 1]]
    whole = pa.RecordBatch.from_arrays([pa.array(range(len(points))), pa.array(wkb), *map(pa.array, edges)], names)
    return [whole.slice(start, rows) for start in range(0, len(points), rows)], whole.schema


def test_boxes_are_rounded_outwards() -> None:
    bounds = np.random.default_rng(1).uniform(-180, 180, (1000, 2))
    bounds = np.concatenate([bounds, bounds], axis=1)
    column = geoparquet.bbox_column(bounds)
    low = np.array(column.field("xmin")).astype(np.float64)
    high = np.array(column.field("xmax")).astype(np.float64)
    assert (low <= bounds[:, 0]).all()
    assert (high >= bounds[:, 2]).all()
    assert (high - low < 1e-4).all()
    assert (low < high).any()


def test_a_row_without_geometry_has_no_box() -> None:
    column = geoparquet.bbox_column(np.array([[np.nan] * 4, [0.0, 1.0, 2.0, 3.0]]))
    assert column.is_valid().to_pylist() == [False, True]


def test_rows_are_grouped_whatever_the_size_of_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geoparquet, "ROW_GROUP_ROWS", 100)
    points = np.random.default_rng(2).uniform(-90, 90, (250, 2))
    made, schema = batches(points, 33)
    written = geoparquet.write(made, schema, tmp_path / "x.parquet", 4326)
    file = pq.ParquetFile(written.path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [100, 100, 50]
    assert file.read().column("n").to_pylist() == list(range(250))
    assert written.bounds == pytest.approx((*points.min(axis=0), *points.max(axis=0)), abs=0)
    assert written.geometry_types == ["Point"]


def test_an_empty_table_is_a_valid_file_without_bounds(tmp_path: Path) -> None:
    _, schema = batches(np.zeros((1, 2)), 1)
    written = geoparquet.write([], schema, tmp_path / "x.parquet", 4326)
    geo = json.loads(pq.read_metadata(written.path).metadata[b"geo"])
    assert (written.rows, written.bounds) == (0, None)
    assert "bbox" not in geo["columns"]["geometry"]
    assert geo["columns"]["geometry"]["geometry_types"] == []
