"""A person's rows in the files that are published in the lake: each batch that has some is published again without."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from terrane.publishing import list_commits, list_datasets, rewrite

if TYPE_CHECKING:
    from terrane.object_store import Bucket


@dataclass
class Found:
    """How many rows went of each dataset, and which files nobody looked into."""

    rows: dict[str, int] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


def forget_in_files(lake: Bucket, prefixes: Sequence[str], column: str, value: str) -> Found:
    """Goes through every batch of the datasets whose names begin so; costs reading them all. Can be repeated."""
    found = Found()
    for dataset in sorted({name for prefix in prefixes for name in list_datasets(lake, prefix)}):
        for commit in list_commits(lake, dataset):

            def without(name: str, file: Path, dataset: str = dataset, batch: str = commit.batch_id) -> Path | None:
                target = file.with_suffix(".without")
                if name.endswith(".parquet"):
                    gone = _of_parquet(file, target, column, value)
                elif name.endswith(".csv"):
                    gone = _of_csv(file, target, column, value)
                else:
                    found.unread.append(f"{dataset} {batch} {name}")
                    return None
                found.rows[dataset] = found.rows.get(dataset, 0) + gone
                return target if gone else None

            rewrite(lake, commit, without)
    return Found({dataset: rows for dataset, rows in found.rows.items() if rows}, found.unread)


def _of_parquet(file: Path, target: Path, column: str, value: str) -> int:
    """Writes the other rows; returns how many are left out. Geometry and other metadata stay as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    gone = 0
    with pq.ParquetFile(file) as parquet:
        schema = parquet.schema_arrow
        if column not in schema.names:
            return 0
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for batch in parquet.iter_batches():
                same = pc.equal(pc.cast(batch.column(column), pa.string()), value)  # pyright: ignore
                kept = batch.filter(pc.invert(pc.fill_null(same, False)))  # pyright: ignore
                gone += batch.num_rows - kept.num_rows
                writer.write_batch(kept)
    return gone


def _of_csv(file: Path, target: Path, column: str, value: str) -> int:
    """As `_of_parquet`; lines that stay are not written anew, since a null and an empty text are two things."""
    gone = 0
    with file.open(encoding="utf-8", newline="") as source, target.open("w", encoding="utf-8", newline="") as sink:
        rows = _with_text(source)
        header, text = next(rows)
        if column not in header:
            return 0
        at = header.index(column)
        sink.write(text)
        for row, text in rows:
            if row[at] == value:
                gone += 1
            else:
                sink.write(text)
    return gone


def _with_text(source: Iterator[str]) -> Iterator[tuple[list[str], str]]:
    """Each row with the lines that it is made of."""
    lines: list[str] = []

    def read() -> Iterator[str]:
        for line in source:
            lines.append(line)
            yield line

    for row in csv.reader(read()):
        yield row, "".join(lines)
        lines.clear()
