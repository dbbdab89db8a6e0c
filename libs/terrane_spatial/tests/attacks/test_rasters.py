"""Rasters that claim more than they hold, or are documents that point elsewhere."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files.fetch import unpack
from terrane_spatial.files.formats import FORMATS
from terrane_spatial.rasters import cog_writer
from terrane_spatial.sandbox.protocol import Limits

pytestmark = pytest.mark.unit

LIMITS = Limits(wall_s=60, cpu_s=30, memory_bytes=3 << 30, written_bytes=1 << 30)
ASCII, SHORT, LONG, DOUBLE = 2, 3, 4, 12
SIZES = {ASCII: ("s", 1), SHORT: ("H", 2), LONG: ("I", 4), DOUBLE: ("d", 8)}


def tiff(width: int, height: int, strip: bytes = b"", compression: int = 1, bits: int = 8) -> bytes:
    """A GeoTIFF of one strip, that says it is so large: TIFF 6.0, sections 2 and 3, with GeoTIFF's tags."""
    keys = [1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326]
    tags: list[tuple[int, int, Any]] = [
        (256, LONG, [width]), (257, LONG, [height]), (258, SHORT, [bits]), (259, SHORT, [compression]),
        (262, SHORT, [1]), (273, LONG, [8]), (277, SHORT, [1]), (278, LONG, [height]), (279, LONG, [len(strip)]),
        (33550, DOUBLE, [0.001, 0.001, 0.0]), (33922, DOUBLE, [0.0, 0.0, 0.0, 1.0, 2.0, 0.0]), (34735, SHORT, keys),
    ]  # fmt: skip
    start = 8 + len(strip) + len(strip) % 2
    beyond = start + 2 + 12 * len(tags) + 4
    entries, extra = b"", b""
    for tag, kind, values in tags:
        code, _ = SIZES[kind]
        packed = struct.pack(f"<{len(values)}{code}", *values)
        place = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", beyond + len(extra))
        extra += packed if len(packed) > 4 else b""
        entries += struct.pack("<HHI", tag, kind, len(values)) + place
    body = strip + b"\0" * (len(strip) % 2)
    return b"II*\0" + struct.pack("<I", start) + body + struct.pack("<H", len(tags)) + entries + bytes(4) + extra


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.fixture
def convert(tmp_path: Path, canary: Any) -> Iterator[Callable[[bytes], str]]:
    """Sends bytes as a raster and converts it; gives the reason it was refused for, and looks after the canary."""
    numbers = iter(range(100))

    def send(content: bytes) -> str:
        folder = tmp_path / f"work{next(numbers)}"
        (folder / "out").mkdir(parents=True)
        (folder / "object").write_bytes(content)
        try:
            path = unpack(folder / "object", "places", "b/places", FORMATS)
            cog_writer.to_cog(path, "b/places", folder / "out" / "places.tif", cog_writer.Wanted("EPSG:4326"), LIMITS)
        except BatchRejectedError as error:
            assert list((folder / "out").iterdir()) == []
            return str(error)
        return ""

    yield send
    canary.assert_untouched()


def test_the_raster_these_attacks_are_made_of_is_a_good_one(convert: Callable[[bytes], str]) -> None:
    assert convert(tiff(20, 10, bytes(200))) == ""


def test_a_kilobyte_that_claims_two_gigabytes_is_refused(convert: Callable[[bytes], str]) -> None:
    content = tiff(46_341, 46_341, bytes(200))
    assert len(content) < 1024
    assert convert(content)


def test_a_strip_that_inflates_without_end_is_refused(convert: Callable[[bytes], str]) -> None:
    strip = zlib.compress(bytes(300 << 20), 9)
    assert len(strip) < 1 << 20
    said = convert(tiff(60_000, 60_000, strip, compression=8))
    assert "60000 x 60000 pixels" in said


@pytest.mark.parametrize(
    ("width", "height"), [(0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFFFFF, 1), (1, 0x7FFFFFFF), (0, 0), (100_000, 100_000)]
)
def test_sizes_that_no_raster_has_are_refused(convert: Callable[[bytes], str], width: int, height: int) -> None:
    assert convert(tiff(width, height, bytes(200)))
    assert convert(tiff(width, height, zlib.compress(bytes(100)), compression=8, bits=64))
    assert convert(png(width & 0x7FFFFFFF, height & 0x7FFFFFFF))


@pytest.mark.parametrize(
    "document",
    [
        "<VRTDataset rasterXSize='9' rasterYSize='9'>"
        "<VRTRasterBand dataType='Byte' band='1' subClass='VRTRawRasterBand'>"
        "<SourceFilename relativetoVRT='0'>{secret}</SourceFilename></VRTRasterBand></VRTDataset>",
        "<MRF_META><CachedSource><Source>{secret}</Source></CachedSource><Raster><Size x='9' y='9'/>"
        "<DataFile>{folder}/written</DataFile></Raster></MRF_META>",
        "<GDAL_WMS><Service name='TMS'><ServerUrl>{url}</ServerUrl></Service></GDAL_WMS>",
    ],
)
def test_a_document_in_place_of_a_raster_is_refused(
    convert: Callable[[bytes], str], canary: Any, document: str, tmp_path: Path
) -> None:
    text = document.format(secret=canary.secret, folder=canary.folder, url=canary.url).encode()
    assert "of no format" in convert(text)
    for head in (b"II*\0", b"\x89PNG\r\n\x1a\n", b"CDF\x01", b"\xff\x4f\xff\x51"):
        assert convert(head + text)
    # Named by us, as if its content had not been looked at: the one driver that is left does not know it.
    path = tmp_path / "direct.tif"
    path.write_bytes(text)
    target = tmp_path / "direct"
    target.mkdir()
    with pytest.raises(BatchRejectedError):
        cog_writer.to_cog(path, "b/places", target / "o.tif", limits=LIMITS)
