"""Files as a source: CSV, JSON lines and Parquet, their rows in lists of at most 20,000.

A line that can't be read is refused by its number, as a row is by its id; a file that is not of its format is refused
whole.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from analytics.source.client import parse_json
from analytics.source.plain import Field, from_text, plain, select
from analytics.source.window import Row
from analytics.warehouse.values import Refused
from terrane.errors import Permanent

BATCH_ROWS = 20_000
# Longer cells are a quote that is not closed.
LONGEST_CELL = 10_000_000
MOST_SHOWN = 200

FileFormat = Literal["csv", "jsonl", "parquet"]


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        format: csv, jsonl or parquet.
        delimiter: between the cells of CSV.
        nulls: texts of a CSV's cell that are no value.
    """

    format: FileFormat
    delimiter: str = ","
    nulls: Sequence[str] = ("",)


def read_file(
    file: Path, name: str, reading: Reading, fields: Sequence[Field], refuse: Callable[[Refused], None]
) -> Iterator[list[Row]]:
    """The file's rows. Raises Permanent, with `name`, for a file that is not of the format or lacks a column."""
    if reading.format == "parquet":
        yield from _parquet(file, name, fields)
        return
    rows = _csv(file, name, reading, fields, refuse)
    if reading.format == "jsonl":
        rows = _json_lines(file, name, fields, refuse)
    yield from _batched(rows)


def _batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _csv(
    file: Path, name: str, reading: Reading, fields: Sequence[Field], refuse: Callable[[Refused], None]
) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)
    with file.open(encoding="utf-8-sig", newline="") as lines, _Readable(name):
        cells = csv.reader(lines, delimiter=reading.delimiter, strict=True)
        header = next(cells, None)
        if header is None:
            raise Permanent(f"{name} is empty, without even a header; nothing of it was written")
        _refuse_lacking(name, header, fields)
        for row in cells:
            if len(row) != len(header):
                if row:
                    reason = f"has {len(row)} cells, and the header {len(header)}"
                    refuse(Refused(f"line {cells.line_num} of {name}", "the line", reason, {"cells": row}))
                continue
            texts = {n: None if text in reading.nulls else text for n, text in zip(header, row, strict=True)}
            found = ((f.column, texts.get(f.path)) for f in fields)
            yield {column.name: None if text is None else from_text(column, text) for column, text in found}


def _json_lines(file: Path, name: str, fields: Sequence[Field], refuse: Callable[[Refused], None]) -> Iterator[Row]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                found = parse_json(line)
            except (ValueError, Permanent):
                found = None
            if isinstance(found, dict):
                yield select(found, fields)
            else:
                shown = line[:MOST_SHOWN].decode(errors="backslashreplace")
                refuse(Refused(f"line {number} of {name}", "the line", "is no object of JSON", {"line": shown}))


def _parquet(file: Path, name: str, fields: Sequence[Field]) -> Iterator[list[Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise Permanent(f"{name} is no Parquet: {error}; nothing of it was written") from None
    with parquet:
        _refuse_lacking(name, parquet.schema_arrow.names, fields)
        there = [f.path for f in fields if f.path in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(BATCH_ROWS, columns=there):
            columns = [_in_microseconds(column) for column in batch.columns]
            rows = pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()
            yield [{f.column.name: plain(row.get(f.path)) for f in fields} for row in rows]


def _in_microseconds(column: Any) -> Any:
    """Nanoseconds cut to microseconds, as those of a text are."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column


def _refuse_lacking(name: str, names: Sequence[str], fields: Sequence[Field]) -> None:
    lacking = [f.path for f in fields if not f.optional and f.path not in names]
    if lacking:
        raise Permanent(
            f"{name} has no column {', '.join(lacking)}; it has {', '.join(names)}. Nothing of it was written; mend "
            "the file or the columns in defs.yaml"
        )
    twice = sorted({f.path for f in fields if list(names).count(f.path) > 1})
    if twice:
        raise Permanent(f"{name} has more than one column {', '.join(twice)}; nothing of it was written")


class _Readable:
    """Around reading a text: what is no UTF-8 or no CSV becomes Permanent, with the file's name."""

    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnicodeDecodeError):
            raise Permanent(f"{self._name} is no UTF-8; nothing of it was written") from None
        if isinstance(error, csv.Error):
            raise Permanent(f"{self._name} is no CSV: {error}; nothing of it was written") from None
