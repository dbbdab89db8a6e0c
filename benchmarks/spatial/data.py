"""The files that are loaded: deterministic, written in pieces, with what real attributes have.

Six attributes: two texts with accents, a double with nulls in one row of twenty, a bigint, a time stamp, a flag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SEED = 7
PIECE_ROWS = 100_000
CATEGORIES = ("résidentiel", "commercial", "forêt", "eau", "industrie", "autre")
ATTRIBUTES = ("name", "category", "value", "cnt", "ts", "flag")


def write_polygons(path: Path, rows: int) -> Path:
    """Polygons of 8 to 20 corners, 20 to 60 metres around points of Europe."""
    return _write(path, rows, "Polygon", _polygons)


def write_points(path: Path, rows: int) -> Path:
    return _write(path, rows, "Point", _points)


def _write(path: Path, rows: int, kind: str, shapes: Callable[[np.random.Generator, int], Any]) -> Path:
    """A GeoPackage of one layer `d`."""
    import numpy as np
    import pyarrow as pa
    import shapely
    from pyogrio.raw import write_arrow

    random = np.random.default_rng(SEED)

    def pieces() -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, PIECE_ROWS):
            number = min(PIECE_ROWS, rows - start)
            wkb = pa.array(shapely.to_wkb(shapes(random, number)), pa.binary())
            yield pa.record_batch({**_attributes(random, start, number), "geometry": wkb})

    first = next(pieces())
    random = np.random.default_rng(SEED)
    stream = pa.RecordBatchReader.from_batches(first.schema, pieces())
    write_arrow(
        stream,
        path,
        driver="GPKG",
        layer="d",
        geometry_type=kind,
        crs="EPSG:4326",
        geometry_name="geometry",
        SPATIAL_INDEX="NO",
    )
    return path


def _attributes(random: np.random.Generator, start: int, rows: int) -> dict[str, Any]:
    import numpy as np
    import pyarrow as pa

    chosen = pa.array(random.integers(0, len(CATEGORIES), rows), pa.int32())
    moments = (1.6e12 + random.integers(0, 10**11, rows)).astype(np.int64)
    return {
        "name": pa.array(np.char.add("Parcelle n° ", np.arange(start, start + rows).astype(str))),
        "category": pa.DictionaryArray.from_arrays(chosen, pa.array(CATEGORIES)).cast(pa.string()),
        "value": pa.array(random.normal(100, 30, rows), mask=random.random(rows) < 0.05),
        "cnt": pa.array(random.integers(0, 2**40, rows), pa.int64()),
        "ts": pa.array(moments, pa.timestamp("ms")),
        "flag": pa.array(random.random(rows) < 0.5),
    }


def _points(random: np.random.Generator, rows: int) -> Any:
    import shapely

    return shapely.points(random.uniform(-10, 30, rows), random.uniform(35, 60, rows))


def _polygons(random: np.random.Generator, rows: int) -> Any:
    import numpy as np
    import shapely

    x, y = random.uniform(-10, 30, rows), random.uniform(35, 60, rows)
    corners = random.integers(8, 21, rows)
    total = int(corners.sum())
    owner = np.repeat(np.arange(rows), corners)
    turn = np.arange(total) - np.repeat(np.cumsum(corners) - corners, corners)
    angle = 2 * np.pi * turn / np.repeat(corners, corners)
    radius = random.uniform(2e-4, 6e-4, total)
    ends = np.cumsum(corners + 1)
    ring = np.empty((int(ends[-1]), 2))
    at = np.arange(total) + owner
    ring[at, 0] = x[owner] + radius * np.cos(angle)
    ring[at, 1] = y[owner] + radius * np.sin(angle)
    ring[ends - 1] = ring[ends - corners - 1]
    return shapely.polygons(shapely.linearrings(ring, indices=np.repeat(np.arange(rows), corners + 1)))
