"""GDAL without Arrow: the second reader of formats that no reader here takes apart by hand.

It asks GDAL feature by feature, where the first reading takes what a driver writes into Arrow's buffers. What a driver
itself misreads both read alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from terrane_spatial.reading.child.records.table import PLAIN, TIMES, Record, Table, UnsupportedError
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.imports import import_pyogrio

CHUNK_ROWS = 50_000
# Whole numbers with nulls come as doubles, which hold no more digits.
MOST_EXACT = 1 << 53
INTEGERS = ("OFTInteger", "OFTInteger64")


def open_features(source: Source) -> Table:
    """Raises UnsupportedError where GDAL cannot read the layer so."""
    pyogrio = import_pyogrio()
    options = {**source.options, **({"encoding": source.encoding} if source.encoding else {})}

    def read(first: int, most: int) -> tuple[dict[str, Any], Any, list[Any]]:
        how = {"layer": source.layer, "force_2d": True, "datetime_as_string": True, **options}
        try:
            with warnings.catch_warnings(record=True):
                meta, _, geometry, values = pyogrio.raw.read(source.path, skip_features=first, max_features=most, **how)
        except (RuntimeError, OSError, ValueError) as error:
            raise UnsupportedError(f"GDAL without Arrow cannot read it: {error}") from None
        return meta, geometry, values

    meta, _, _ = read(0, 1)
    names = [str(name) for name in meta["fields"]]

    def rows() -> Iterator[Record]:
        first = 0
        while True:
            told, geometries, columns = read(first, CHUNK_ROWS)
            plain = [_plain(column, kind) for column, kind in zip(columns, told["ogr_types"], strict=True)]
            size = len(geometries)
            every = zip(*plain, strict=True) if plain else iter([()] * size)
            for values, geometry in zip(every, geometries, strict=True):
                yield Record(values, geometry)
            if size < CHUNK_ROWS:
                return
            first += size

    kinds = dict(zip(names, meta["ogr_types"], strict=True))
    texts = {name: TIMES if kind == "OFTDateTime" else PLAIN for name, kind in kinds.items()}
    table = Table(names, rows, texts=texts)
    table.whole, table.facts["second reader"] = False, "GDAL without Arrow"
    return table


def _plain(column: Any, kind: str) -> Sequence[Any]:
    """The values as Python's, with None for what is null."""
    if column.dtype.kind == "M":
        return [None if text == "NaT" else text for text in column.astype(str).tolist()]
    values = [value.tolist() if hasattr(value, "tolist") else value for value in column.tolist()]
    if column.dtype.kind != "f":
        return values
    if kind not in INTEGERS:
        return [None if value != value else value for value in values]
    if any(abs(value) >= MOST_EXACT for value in values):
        raise UnsupportedError("it has whole numbers too large for GDAL without Arrow, beside nulls")
    return [None if value != value else int(value) for value in values]
