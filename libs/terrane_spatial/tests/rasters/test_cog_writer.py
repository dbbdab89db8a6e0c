"""Rasters become cloud-optimised GeoTIFFs, pixel for pixel, or are refused with the reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rio_cogeo.cogeo import cog_validate

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files.formats import RASTER, Format
from terrane_spatial.rasters import cog_writer
from terrane_spatial.rasters.cog_writer import Wanted

pytestmark = pytest.mark.unit

UTM = CRS.from_epsg(32633)


def terrain(rows: int = 1500, columns: int = 1300) -> np.ndarray:
    """Heights with noise, and a corner without any."""
    y, x = np.mgrid[0:rows, 0:columns]
    heights = (800 + 300 * np.sin(x / 130) * np.cos(y / 170)).astype(np.float32)
    heights += np.random.default_rng(1).normal(0, 2, heights.shape).astype(np.float32)
    heights[:50, :50] = -9999
    return heights


def write(path: Path, values: np.ndarray, **changes: Any) -> Path:
    bands = values if values.ndim == 3 else values[None]
    profile = {
        "driver": "GTiff",
        "width": bands.shape[2],
        "height": bands.shape[1],
        "count": bands.shape[0],
        "dtype": bands.dtype,
        "crs": UTM,
        "transform": from_origin(500_000, 5_400_000, 10, 10),
        **changes,
    }
    with rasterio.open(path, "w", **profile) as sink:
        sink.write(bands)
    return path


def refusal(path: Path, target: Path, wanted: Wanted | None = None) -> str:
    with pytest.raises(BatchRejectedError) as caught:
        cog_writer.to_cog(path, "b/x", target, wanted)
    assert not target.exists()
    return str(caught.value)


def test_a_raster_becomes_a_valid_cog_with_the_same_pixels(tmp_path: Path) -> None:
    values = terrain()
    cog = cog_writer.to_cog(write(tmp_path / "x.tif", values, nodata=-9999), "b/x", tmp_path / "out.tif")
    valid, errors, warnings = cog_validate(cog.path, strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(cog.path) as made:
        assert np.array_equal(made.read(1), values)
        assert made.nodata == -9999
    assert (cog.width, cog.height, cog.epsg, cog.block, cog.overviews) == (1300, 1500, 32633, (512, 512), (2, 4))
    assert cog.bounds == (500_000, 5_385_000, 513_000, 5_400_000)
    assert cog.bounds_4326 == pytest.approx((15, 48.62, 15.18, 48.75), abs=0.01)
    (band,) = cog.bands
    assert band.minimum is not None
    assert 490 < band.minimum < 510
    assert band.mean == pytest.approx(values[values > 0].mean(), abs=5)


def test_colours_stay_exact_and_overviews_of_categories_hold_no_value_that_was_not_there(tmp_path: Path) -> None:
    codes = np.random.default_rng(2).choice(np.array([10, 200], np.uint8), (1100, 1100))
    cog = cog_writer.to_cog(write(tmp_path / "x.tif", codes), "b/x", tmp_path / "out.tif", Wanted(categories=True))
    with rasterio.open(cog.path, overview_level=0) as smaller:
        assert set(np.unique(smaller.read(1))) == {10, 200}


def test_a_png_with_a_world_file_takes_its_system_from_the_manifest(tmp_path: Path) -> None:
    image = np.random.default_rng(3).integers(0, 255, (3, 300, 400), np.uint8)
    write(tmp_path / "x.png", image, driver="PNG", crs=None, transform=None)
    (tmp_path / "x.pgw").write_text("0.01\n0\n0\n-0.01\n10.005\n49.995\n")
    cog = cog_writer.to_cog(tmp_path / "x.png", "b/x", tmp_path / "out.tif", Wanted("EPSG:4326"))
    assert cog.epsg == 4326
    assert cog.bounds == pytest.approx((10, 47, 14, 50))
    with rasterio.open(cog.path) as made:
        assert np.array_equal(made.read(), image)
    assert cog_validate(cog.path, strict=True)[0]
    assert "does not say its coordinate reference system" in refusal(tmp_path / "x.png", tmp_path / "no.tif")


def test_of_a_tiff_with_several_pages_the_manifest_names_one(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    for number in (1, 2, 3):
        write(path, np.full((64, 64), number, np.uint8), **({"APPEND_SUBDATASET": "YES"} if number > 1 else {}))
    assert "it has several pages, 1, 2, 3; the manifest's field layer says which" in refusal(path, tmp_path / "o.tif")
    cog = cog_writer.to_cog(path, "b/x", tmp_path / "second.tif", Wanted(layer="2"))
    with rasterio.open(cog.path) as made:
        assert set(np.unique(made.read(1))) == {2}


@pytest.mark.parametrize("shape", [(512, 512), (2001, 1)])
def test_a_small_or_narrow_raster_has_no_overviews_not_even_its_own(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = write(tmp_path / "x.tif", np.ones(shape, np.uint8))
    with rasterio.open(path, "r+") as source:
        source.build_overviews([2])
    cog = cog_writer.to_cog(path, "b/x", tmp_path / "out.tif")
    assert cog.overviews == ()
    assert cog_validate(cog.path)[1] == []


def test_values_of_an_odd_number_of_bits_are_kept(tmp_path: Path) -> None:
    values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) % 1024
    cog = cog_writer.to_cog(write(tmp_path / "x.tif", values, nbits=10), "b/x", tmp_path / "out.tif")
    with rasterio.open(cog.path) as made:
        assert np.array_equal(made.read(1), values)


def test_bands_of_different_numbers_of_bits_are_refused_as_one_would_be_cut(tmp_path: Path) -> None:
    # GDAL writes every band of a JPEG 2000 with as many bits as it is told; the box that says so is changed by hand.
    path = write(
        tmp_path / "x.jp2", np.ones((2, 64, 64), np.uint8), driver="JP2OpenJPEG", quality=100, reversible="YES"
    )
    content = bytearray(path.read_bytes())
    sizes = content.index(b"\xff\x51") + 40
    assert content[sizes : sizes + 6] == b"\x07\x01\x01\x07\x01\x01"
    content[sizes] = 0
    content[content.index(b"ihdr") + 14] = 0xFF
    path.write_bytes(content)
    assert "different numbers of bits" in refusal(path, tmp_path / "o.tif")


def test_a_system_that_the_manifest_contradicts_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", terrain(64, 64))
    assert "says EPSG:32633 and the manifest says EPSG:3857" in refusal(path, tmp_path / "o.tif", Wanted("EPSG:3857"))


def test_a_raster_without_a_place_on_earth_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", terrain(64, 64), transform=None)
    assert "does not say where on Earth it lies" in refusal(path, tmp_path / "o.tif")


def test_a_raster_that_claims_more_than_its_bytes_can_hold_is_refused(tmp_path: Path) -> None:
    profile = {"width": 60_000, "height": 60_000, "count": 1, "dtype": "uint8", "crs": UTM, "SPARSE_OK": "TRUE"}
    with rasterio.open(
        tmp_path / "x.tif", "w", driver="GTiff", tiled=True, transform=from_origin(0, 0, 1, 1), **profile
    ):
        pass
    assert "3600000000 bytes; of a file of its size at most" in refusal(tmp_path / "x.tif", tmp_path / "o.tif")


def test_a_raster_of_which_the_end_is_missing_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", terrain(), compress="deflate", tiled=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "GDAL cannot convert it as GeoTIFF" in refusal(path, tmp_path / "o.tif")


def test_a_tif_that_is_another_format_inside_is_refused(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.tif", terrain(64, 64))
    (tmp_path / "x.tif").write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
        f"<SourceFilename>{secret}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    assert "GDAL cannot convert it as GeoTIFF" in refusal(tmp_path / "x.tif", tmp_path / "o.tif")


def test_the_converting_process_can_read_nothing_but_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver that would follow the reference is let in on purpose: the kernel alone keeps it out."""
    if "files" not in confinement_of_a_child():
        pytest.skip("this kernel has no Landlock")
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    secret = write(tmp_path / "secret.tif", terrain(64, 64))
    (tmp_path / "in" / "x.tif").write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32633</SRS><GeoTransform>5,1,0,6,0,-1</GeoTransform>'
        f'<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename>{secret}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    monkeypatch.setattr(cog_writer, "of_path", lambda _: Format("vrt", "VRT", "VRT", ".tif", kind=RASTER))
    monkeypatch.setattr(cog_writer, "WRITING_DRIVERS", (*cog_writer.WRITING_DRIVERS, "VRT"))
    assert "secret.tif: Permission denied" in refusal(tmp_path / "in" / "x.tif", tmp_path / "out" / "o.tif")


def confinement_of_a_child() -> str:
    code = "from terrane_spatial.sandbox.confinement import confine; print(confine(['/usr']))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
