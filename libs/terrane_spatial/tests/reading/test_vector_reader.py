"""Reading files through GDAL, in a process that can reach nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pyogrio
import pytest

from terrane_spatial.errors import BatchRejectedError, StageError
from terrane_spatial.files.formats import FORMATS, RASTER, Format
from terrane_spatial.reading import gdal_process, vector_reader
from terrane_spatial.reading.vector_reader import Wanted
from terrane_spatial.sandbox import gdal_settings
from terrane_spatial.sandbox.control import control_file
from terrane_spatial.sandbox.endings import CrashedError
from terrane_spatial.sandbox.protocol import Limits

pytestmark = pytest.mark.unit

POINT = {"type": "Feature", "properties": {"name": "a"}, "geometry": {"type": "Point", "coordinates": [1, 2]}}
VRT = """<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>CSV:{path}</SrcDataSource>
<SrcLayer>{layer}</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"""

TELL_LIBRARIES = """
import sys
from terrane_spatial.reading.child.entry import prepare
from terrane_spatial.sandbox import child_main

child_main.run(prepare)
sys.exit(f"imported {sorted({'json', 'pandas', 'pyarrow.compute', 'shapely', 'pyproj'} & set(sys.modules))}")
"""


def refusal(path: Path, layer: str | None = None, limits: Limits | None = None) -> str:
    with (
        pytest.raises(BatchRejectedError) as caught,
        vector_reader.read(path, "b/x", Wanted(layer), limits=limits or Limits()) as (_, reader),
    ):
        for _ in reader:
            pass
    return str(caught.value)


def collection(path: Path, rows: int = 1) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [POINT] * rows}))
    return path


def test_a_file_is_read_as_batches_with_what_gdal_knows(tmp_path: Path) -> None:
    with vector_reader.read(collection(tmp_path / "x.geojson", 20_000), "b/x") as (layer, reader):
        rows = [batch.num_rows for batch in reader]
    assert layer.system
    assert (layer.driver, layer.system.epsg) == ("GeoJSON", 4326)
    assert sum(rows) == 20_000
    assert max(rows) <= vector_reader.BATCH_ROWS


def test_a_plain_file_is_read_without_libraries_that_take_longer_to_import_than_the_file_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gdal_process, "CHILD", [sys.executable, "-c", TELL_LIBRARIES])
    with (
        pytest.raises(StageError, match=r"imported \['json'\]"),
        vector_reader.read(collection(tmp_path / "x.geojson"), "b/x") as (_, batches),
    ):
        list(batches)


def test_only_the_one_driver_is_there_and_no_credential_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_PASSWORD", "secret")
    gdal_settings.registered.cache_clear()
    environment = gdal_settings.environment("GPKG")
    assert "secret" not in json.dumps(environment)
    assert set(pyogrio.list_drivers()) - set(environment["OGR_SKIP"].split(",")) == {"GPKG"}


def test_every_format_has_a_driver_that_is_registered() -> None:
    vectors = gdal_settings.registered(gdal_settings.LIST_VECTOR_DRIVERS)
    rasters = gdal_settings.registered(gdal_settings.LIST_RASTER_DRIVERS)
    for each in FORMATS:
        assert not each.driver or each.driver in (rasters if each.kind == RASTER else vectors)


def test_a_geojson_that_is_a_vrt_of_another_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("user,password\nroot,x\n")
    trap = tmp_path / "x.geojson"
    trap.write_text(VRT.format(path=secret, layer="secret"))
    assert list(pyogrio.read_info(trap)["fields"]) == ["user", "password"]
    assert "GDAL cannot read it as GeoJSON" in refusal(trap)


def test_a_file_that_is_not_spatial_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gpkg"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    assert refusal(path).startswith("b/x: GDAL cannot read it as GeoPackage")
    assert str(tmp_path) not in refusal(path)


def test_a_table_without_geometry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    assert "b/x: its layer x has no geometry" in refusal(path)


def test_a_layer_is_named_where_there_are_several(tmp_path: Path) -> None:
    import geopandas as gpd
    from shapely.geometry import Point

    path = tmp_path / "x.gpkg"
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[Point(0, 0)], crs=4326)
    for layer in ("one", "two"):
        frame.to_file(path, layer=layer, engine="pyogrio")
    assert "it has several layers, one, two; the manifest's field layer says which is meant" in refusal(path)
    assert "it has no layer 'three'; its layers are one, two" in refusal(path, "three")
    with vector_reader.read(path, "b/x", Wanted("two")) as (layer, reader):
        assert (layer.layer, sum(b.num_rows for b in reader)) == ("two", 1)


def test_a_file_that_takes_too_long_is_given_up_and_not_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(StageError, match="took longer than 0 s"),
        vector_reader.read(collection(tmp_path / "x.geojson"), "b/x", limits=Limits(wall_s=0.01)),
    ):
        pass


def test_memory_too_small_for_the_libraries_is_no_fault_of_the_file(tmp_path: Path) -> None:
    """One point, and not enough address space to load GDAL."""
    with (
        pytest.raises(StageError, match="the fault is in this installation"),
        vector_reader.read(collection(tmp_path / "x.geojson"), "b/x", limits=Limits(memory_bytes=256 << 20)),
    ):
        pass


def test_a_file_beyond_its_cpu_time_ends_by_a_signal_that_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(CrashedError, match="SIGXCPU"),
        vector_reader.read(collection(tmp_path / "x.geojson", 400_000), "b/x", limits=Limits(cpu_s=1)) as (_, batches),
    ):
        list(batches)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind.kind != RASTER], ids=lambda kind: kind.name)
def test_the_control_file_of_every_format_is_read(kind: Format) -> None:
    with control_file(kind) as path, vector_reader.read(path, "control") as (layer, batches):
        assert sum(batch.num_rows for batch in batches) == 2
    assert layer.driver in (kind.driver, kind.title)


def test_a_reader_that_is_left_early_leaves_no_process(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="enough"),
        vector_reader.read(collection(tmp_path / "x.geojson", 50_000), "b/x"),
    ):
        raise RuntimeError("enough")
    listed = subprocess.run(["ps", "-A", "-o", "ppid=,command="], capture_output=True, text=True, check=True).stdout
    ours = [line for line in listed.splitlines() if line.split()[0] == str(os.getpid())]
    assert [line for line in ours if "reading.child" in line] == []


def test_a_stream_that_stops_short_is_a_refusal_and_no_layer_without_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_reader, "FREE_BYTES", 1)
    monkeypatch.setattr(vector_reader, "MAX_RATIO", 0)
    path = collection(tmp_path / "x.geojson", 10)
    with ExitStack() as stack:
        _, batches = stack.enter_context(vector_reader.read(path, "b/x"))
        with pytest.raises(BatchRejectedError, match="b/x: its rows take more than 1 bytes"):
            list(batches)
        with pytest.raises(BatchRejectedError):
            stack.close()
