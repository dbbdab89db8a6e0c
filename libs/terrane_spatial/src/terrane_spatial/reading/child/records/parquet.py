"""GeoParquet a second time: row groups by Arrow's reader, as its types have the values, and WKB taken apart by hand.

Arrow decodes the pages both times. What stands between them and the table, which is what is held against this, does
not: batches, their pieces, rejected rows, geometries in two dimensions, columns that are left out.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from terrane_spatial.reading.child.flatten import to_two_dimensions
from terrane_spatial.reading.child.records.table import UNREADABLE, Access, Table, UnsupportedError
from terrane_spatial.reading.source import Source
from terrane_spatial.wkb import COLLECTION, EWKB_SRID, POINT, WKB_HEAD

ROWS = 16_384


def open_geoparquet(source: Source) -> Table:
    """Raises UnsupportedError for metadata that are not GeoParquet's, which the first reader refuses."""
    try:
        file = pq.ParquetFile(source.path)
        geo = json.loads((file.metadata.metadata or {})[b"geo"])
        geometry = geo["primary_column"]
        boxes = {edge[0] for edge in geo["columns"][geometry].get("covering", {}).get("bbox", {}).values()}
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UnsupportedError(f"its metadata are not GeoParquet's: {error}") from None
    beside = (set(geo["columns"]) | boxes) - {geometry}
    names = [name for name in file.schema_arrow.names if name not in beside]

    def batches(places: Sequence[int] | None, strict: bool) -> Iterator[tuple[Sequence[int], Any]]:
        first, due = 0, 0
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(ROWS, row_groups=[group], columns=names):
                end = first + batch.num_rows
                if places is None:
                    yield range(first, end), _by_hand(batch, geometry, strict)
                else:
                    begin = due
                    while due < len(places) and places[due] < end:
                        due += 1
                    if due > begin:
                        rows = pa.array([place - first for place in places[begin:due]], pa.int64())
                        yield places[begin:due], _by_hand(batch.take(rows), geometry, strict)
                first = end
        if first != file.metadata.num_rows:
            raise UnsupportedError(f"its row groups have {first} rows, and its footer says {file.metadata.num_rows}")

    count = sum(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))
    table = Table([], lambda: iter(()), Access(batches=batches, geometry=geometry))
    table.count = count
    return table


def _by_hand(batch: Any, name: str, strict: bool) -> Any:
    """The rows with their geometries as the table gets them."""
    columns = [column.storage if isinstance(column, pa.ExtensionArray) else column for column in batch.columns]
    at = batch.schema.get_field_index(name)
    columns[at] = pa.array([in_two_dimensions(value, strict) for value in columns[at].to_pylist()], pa.binary())
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def in_two_dimensions(value: bytes | None, strict: bool) -> bytes | None:
    """The WKB itself where it is whole and has two dimensions already, unless it is to be written anew; else that."""
    if not value:
        return None
    made = to_two_dimensions(value) if len(value) >= WKB_HEAD else None
    if made is None:
        return UNREADABLE
    (code,) = struct.unpack_from("<I" if value[:1] == b"\x01" else ">I", value, 1)
    return value if not strict and POINT <= code & ~EWKB_SRID <= COLLECTION else made
