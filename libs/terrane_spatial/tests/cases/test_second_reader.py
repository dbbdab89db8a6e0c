"""What a second hand finds that the first changed: in layers that are compared whole, and in samples of larger ones."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyogrio import raw
from spatial_cases import Load

from terrane_spatial.reading import held_rows

pytestmark = pytest.mark.integration
COMPARED = "compared with a second reading"


def geopackage(path: Path, rows: int, **fields: Any) -> Path:
    points = shapely.to_wkb(shapely.points(np.linspace(0, 10, rows), np.linspace(40, 50, rows)))
    columns = {"n": np.arange(rows, dtype=np.int16), **fields}
    options: dict[str, Any] = {"geometry_type": "Point", "crs": "EPSG:4326", "layer": "d"}
    raw.write(path, np.array(points, object), list(columns.values()), list(columns), **options)
    return path


def changed(path: Path, *statements: str) -> bytes:
    """The file after SQL that no library of GIS would write."""
    with sqlite3.connect(path) as connection:
        connection.create_function("ST_IsEmpty", 1, lambda _: 0)
        for name, (edge, _) in {"MinX": (0, 0), "MaxX": (0, 0), "MinY": (0, 0), "MaxY": (0, 0)}.items():
            connection.create_function(f"ST_{name}", 1, lambda _, edge=edge: edge)
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return path.read_bytes()


def test_all_values_of_a_small_layer_are_compared(load: Load, tmp_path: Path) -> None:
    case = load(geopackage(tmp_path / "x.gpkg", 100).read_bytes())
    assert case.facts[COMPARED] == "100 rows, the values of 100: all"


def test_a_number_too_large_for_its_declared_type_is_read_by_hand(load: Load, tmp_path: Path) -> None:
    content = changed(geopackage(tmp_path / "x.gpkg", 100), "update d set n = 70000 where fid = 50")
    case = load(content)
    assert max(case.column("n")) == 70000
    assert "the file has 70000, GDAL reads 4464" in case.facts["read by hand, for"]


def test_text_in_a_column_of_numbers_is_kept(load: Load, tmp_path: Path) -> None:
    content = changed(geopackage(tmp_path / "x.gpkg", 10), "update d set n = 'unknown' where fid = 5")
    case = load(content)
    assert case.column("n", "n")[-1] == "unknown"
    assert case.column("count(*)") == [10]


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample is drawn of layers of more than a thousand rows."""
    monkeypatch.setattr(held_rows, "WHOLE_ROWS", 1000)
    monkeypatch.setattr(held_rows, "SAMPLE_ROWS", 500)


def test_of_a_large_layer_a_sample_over_all_of_it_is_compared(load: Load, tmp_path: Path, small_limits: None) -> None:
    case = load(geopackage(tmp_path / "x.gpkg", 30_000).read_bytes())
    rows = int(case.facts[COMPARED].split("the values of ")[1].split(":")[0])
    assert 450 < rows < 650
    assert "a sample" in case.facts[COMPARED]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("update d set n = 70000 where fid = 1", id="first row"),
        pytest.param("update d set n = 70000 where fid = 30000", id="last row"),
        pytest.param("update d set n = 98300 where fid = 20000", id="greatest value that is read"),
        pytest.param("update d set n = 70000 where fid % 100 = 7", id="a hundredth of all rows"),
    ],
)
def test_a_change_in_a_large_layer_is_found(load: Load, tmp_path: Path, small_limits: None, change: str) -> None:
    case = load(changed(geopackage(tmp_path / "x.gpkg", 30_000), change))
    assert max(case.column("n")) >= 70000


READ_TWICE = """
import sys
from pathlib import Path
from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.loading import verification
from terrane_spatial.reading import held_rows, vector_reader

held_rows.WHOLE_ROWS, held_rows.SAMPLE_ROWS = 1000, 500
path, file = Path(sys.argv[1]), ManifestFile(key="b/x.gpkg", size=1, sha256="0" * 64)
with vector_reader.read(path, "x") as (layer, batches):
    list(batches)
    told = verification.require_the_same(path, file, layer, batches, vector_reader.How())
assert "a sample" in told["compared with a second reading"]
print(sorted({"pandas", "shapely", "pyogrio"} & set(sys.modules)))
"""


def test_comparing_imports_nothing_that_takes_longer_than_it(tmp_path: Path) -> None:
    """Arrow imports pandas for one call in ten, where that is installed: 0.15 s, and 40 MB for good."""
    path = geopackage(tmp_path / "x.gpkg", 30_000)
    done = subprocess.run([sys.executable, "-c", READ_TWICE, str(path)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_row_that_only_one_of_the_two_finds_is_not_lost(load: Load, tmp_path: Path) -> None:
    # A .shx that is one shape short hides the last row from whoever trusts it; the .dbf has a record of it.
    case = load("06-fewer-dbf-records.zip")
    assert case.loaded.rows == 3
    assert "GDAL reads 2 rows, and the file holds 3" in case.facts["read by hand, for"]
