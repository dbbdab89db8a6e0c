"""What GDAL says while it reads: its errors and warnings, which it tells and goes on.

pyogrio makes Python's warnings of some and drops others; Arrow's streams drop all. So a handler of our own is put on
top of its, by GDAL's C interface (https://gdal.org/en/stable/api/cpl.html).
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from typing import Any

WARNING, FAILURE = 2, 3
MAX_KINDS, MAX_CHARS = 40, 200
# Said of every file of its kind, or of what is looked at here by other means.
UNINTERESTING = re.compile(
    r"Non closed ring detected|winding order|not supported\. Interpreted as|Several features with id|"
    r"driver does not support|Normalized/laundered field name|has GPKG application_id, but non conformant|"
    r"header indicates \d+ bytes|open option"
)
Handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_char_p)


class Hearing:
    """Counts what GDAL says.

    Attributes:
        warnings, failures: by message; of many that differ, the first MAX_KINDS.
    """

    def __init__(self, extension: Any):
        self.warnings: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        # GDAL keeps the pointer, so the object has to live as long.
        self._handler = Handler(self._hear)
        gdal = ctypes.CDLL(extension.__file__)
        gdal.CPLSetErrorHandler(self._handler)
        gdal.CPLPushErrorHandler(self._handler)

    def _hear(self, level: int, _: int, message: bytes) -> None:
        text = " ".join(message.decode(errors="replace").split())[:MAX_CHARS]
        counts = self.failures if level >= FAILURE else self.warnings
        if level >= WARNING and not UNINTERESTING.search(text) and (text in counts or len(counts) < MAX_KINDS):
            counts[text] += 1

    def forget(self) -> None:
        self.warnings.clear()
        self.failures.clear()
