"""Distributions are drawn as small PNGs that any reader of PNG reads."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest

from terrane_features.checks.bins import Bins
from terrane_features.checks.sparkline import BAR, EMPTY, HEIGHT, LINE, OPEN, WIDTH, as_markdown, bars
from terrane_features.checks.statistics import FeatureStatistics, Statistics
from terrane_features.components.metadata import distributions

pytestmark = pytest.mark.unit


def pixels(png: bytes) -> list[bytes]:
    """The palette's numbers, line by line, with every checksum checked."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size) == (zlib.crc32(kind + content),)
        parts[kind] = content
        at += 12 + size
    width, height, depth, colours, *_ = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert (depth, colours, list(parts)[-1]) == (8, 3, b"IEND")
    lines = zlib.decompress(parts[b"IDAT"])
    assert len(lines) == height * (width + 1)
    return [lines[y * (width + 1) + 1 : (y + 1) * (width + 1)] for y in range(height)]


def test_a_bar_is_as_high_as_its_share_of_the_highest() -> None:
    picture = pixels(bars([35, 7, 0, 1], open_ends=False))
    assert (len(picture), len(picture[0])) == (HEIGHT, WIDTH)
    middles = [WIDTH // 8 + place * WIDTH // 4 for place in range(4)]
    heights = [sum(line[x] == BAR for line in picture) for x in middles]
    assert heights == [35, 7, 0, 1]
    assert set(picture[-1]) == {LINE}


def test_the_open_ends_are_paler() -> None:
    picture = pixels(bars([1, 1, 1], open_ends=True))
    assert [picture[5][x] for x in (5, WIDTH // 2, WIDTH - 5)] == [OPEN, BAR, OPEN]


@pytest.mark.parametrize("counts", [[], [0, 0], [5], list(range(400))])
def test_any_number_of_bars_is_a_picture(counts: list[int]) -> None:
    assert {*b"".join(pixels(bars(counts, open_ends=True)))} <= {EMPTY, BAR, OPEN, LINE}


def test_a_picture_is_a_few_hundred_bytes() -> None:
    assert len(bars([n * n % 97 for n in range(26)], open_ends=True)) < 600


def test_a_page_holds_a_line_and_a_picture_for_each_feature() -> None:
    numbers = FeatureStatistics(Bins("number", edges=(0.0, 1.0)), 10, 2, 1, (1, 5, 1), 0.5, -1.0, 2.0)
    texts = FeatureStatistics(Bins("text", levels=("a|b", "")), 10, 0, 0, (2, 5, 3))
    page = distributions(Statistics(10, {"n": numbers, "t": texts}))
    lines = page.splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| n | 20.0% | -1 to 2, mean 0.5; 1 not finite | ![n](data:image/png;base64,")
    assert lines[3].startswith("| t | 0.0% | a\\|b 50%, empty 30% | ![t](data:image/png;base64,")
    encoded = lines[3].split("base64,")[1].split(")")[0]
    assert base64.b64decode(encoded) == bars([5, 3, 2], open_ends=False)


def test_a_feature_without_values_has_no_picture() -> None:
    empty = FeatureStatistics(Bins("number"), 10, 10, 0, (0,))
    assert distributions(Statistics(10, {"n": empty})).splitlines()[2] == "| n | 100.0% | none |  |"


def test_the_text_beside_a_picture_names_it() -> None:
    assert as_markdown(b"x", "score") == "![score](data:image/png;base64,eA==)"
