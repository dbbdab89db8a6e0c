"""The file that a process is asked to read; no dataclass, for they take longer to import than many a file to read."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """A file to open.

    Attributes:
        driver: GDAL's name of the one driver that may; empty for GeoParquet.
        title: of the format, for people.
        layer: the one that is wanted, where there are several.
        encoding: of its text, where it does not say.
        options: the driver's open options.
        times: kinds of columns of times, where an earlier try told; see `times`.
    """

    path: str
    driver: str
    title: str
    layer: str | None
    encoding: str | None
    options: dict[str, str]
    times: dict[str, str] = {}  # noqa: RUF012
