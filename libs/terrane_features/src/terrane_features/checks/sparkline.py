"""Small pictures of distributions: bars in a PNG of a few hundred bytes, all the drawing there is.

The format is the PNG specification's (W3C, third edition): signature, IHDR, PLTE, tRNS, IDAT, IEND; colours by palette,
the first of which is transparent, so that a picture fits a dark page too.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

WIDTH, HEIGHT = 156, 36
GAP = 1
# Transparent, bars, bars of open ends, baseline.
PALETTE = bytes.fromhex("ffffff 4f7fbf 9db7dc 8a94a3")
EMPTY, BAR, OPEN, LINE = range(4)


def bars(counts: Sequence[int], open_ends: bool) -> bytes:
    """A PNG with a bar for each count, the highest of which fills the height.

    Args:
        open_ends: paint the first and the last bar paler, since they stand for whatever lies beyond.
    """
    rows = [bytearray(WIDTH) for _ in range(HEIGHT)]
    rows[-1] = bytearray([LINE]) * WIDTH
    top = max(counts, default=0)
    slot = WIDTH / max(len(counts), 1)
    for place, count in enumerate(counts):
        colour = OPEN if open_ends and place in {0, len(counts) - 1} else BAR
        height = -(-count * (HEIGHT - 1) // top) if top else 0
        left = min(round(place * slot), WIDTH - 1)
        right = min(max(round((place + 1) * slot) - GAP, left + 1), WIDTH)
        for y in range(HEIGHT - 1 - height, HEIGHT - 1):
            rows[y][left:right] = bytes([colour]) * (right - left)
    return _png(rows)


def as_markdown(picture: bytes, text: str) -> str:
    """The picture inside a page, by itself."""
    return f"![{text}](data:image/png;base64,{base64.b64encode(picture).decode()})"


def _png(rows: Sequence[bytearray]) -> bytes:
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    lines = b"".join(b"\0" + bytes(row) for row in rows)
    parts = [_chunk(b"IHDR", header), _chunk(b"PLTE", PALETTE), _chunk(b"tRNS", b"\0")]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, _chunk(b"IDAT", zlib.compress(lines, 9)), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
