"""A table of the warehouse as Parquet or CSV, in constant memory, all of one snapshot.

What a file holds follows from the rows and the table's types alone: the session's zone and forms are set here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from terrane.errors import Permanent, database_errors
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

BATCH_ROWS = 50_000
# A commit names each of its files, and whoever reads the batch reads that.
MOST_FILES = 5000
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
EMPTY_OR_QUOTED = (",", '"', "\n", "\r")

Format = Literal["parquet", "csv"]


@dataclass(frozen=True)
class Export:
    """What is written of a table.

    Attributes:
        order_by: columns that rows are sorted by within a file; with a key among them, rows have one order.
        partition_by: a column with a file for each of its values, as `day=2026-01-01/<table>.parquet`, which has the
            other columns.
    """

    schema: str
    table: str
    order_by: Sequence[str]
    format: Format = "parquet"
    partition_by: str | None = None

    @property
    def file(self) -> str:
        return f"{self.table}.{self.format}"


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    nullable: bool
    precision: int | None
    scale: int | None


def export_table(warehouse: PostgresResource, export: Export, folder: Path) -> tuple[dict[str, Path], int]:
    """Writes the table's files into the folder.

    Returns:
        The files by their names in the batch, and how many rows they have.

    Raises:
        Permanent: a column is not there or its type has no place in Parquet here, or there are too many partitions.
        Temporary: the warehouse was lost.
    """
    rows, files = 0, {}
    with (
        database_errors(warehouse, f"reading {export.schema}.{export.table}"),
        _snapshot(warehouse) as connection,
        connection.cursor("export") as cursor,
    ):
        columns = _columns(connection, export)
        cursor.itersize = BATCH_ROWS
        cursor.execute(_query(export, columns))
        written = columns[1:] if export.partition_by else columns
        for name, batches in _by_file(export, cursor):
            if len(files) == MOST_FILES:
                raise Permanent(
                    f"{export.schema}.{export.table} has more than {MOST_FILES} values of {export.partition_by}, each "
                    "of which would be a file; partition it by something coarser"
                )
            if name in files:
                raise Permanent(
                    f"{export.schema}.{export.table} has two values of {export.partition_by} that would be the file "
                    f"{name}: one of them is {NO_VALUE}, which stands for none; rename it in the model"
                )
            files[name] = folder / f"{len(files)}.{export.format}"
            rows += _WRITERS[export.format](files[name], written, batches)
        if not files and not export.partition_by:
            files[export.file] = folder / export.file
            _WRITERS[export.format](files[export.file], written, iter(()))
    return files, rows


@contextmanager
def _snapshot(warehouse: PostgresResource) -> Iterator[psycopg.Connection]:
    import psycopg

    with warehouse.connect() as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for setting in ("timezone to 'UTC'", "datestyle to 'ISO'", "intervalstyle to 'iso_8601'"):
            connection.execute(f"set local {setting}".encode())
        yield connection


def _query(export: Export, columns: Sequence[_Column]):
    """The columns, that of the partitions first: as text for CSV, and where Parquet has no type of the kind."""
    from psycopg import sql

    def selected(column: _Column):
        as_text = export.format == "csv" or column.type in AS_TEXT or column.name == export.partition_by
        return sql.SQL("{}::text" if as_text else "{}").format(sql.Identifier(column.name))

    def ordered(name: str):
        # Of the table: a name alone would be the column of the result, which is text.
        column = sql.Identifier(export.schema, export.table, name)
        # Of a file's rows none lies behind another file's: 1.0 and 1.00 are two files, and equal to Postgres.
        return sql.SQL('{}::text collate "C"').format(column) if name == export.partition_by else column

    order = ([export.partition_by] if export.partition_by else []) + list(export.order_by)
    return sql.SQL("select {} from {} order by {}").format(
        sql.SQL(", ").join(map(selected, columns)),
        sql.Identifier(export.schema, export.table),
        sql.SQL(", ").join(map(ordered, order)),
    )


def _by_file(export: Export, cursor: psycopg.ServerCursor) -> Iterator[tuple[str, Iterator[list[tuple[Any, ...]]]]]:
    """Each file's name and its rows, which have to be taken before the next file's are."""
    if not export.partition_by:
        rows = iter(cursor)
        first = next(rows, None)
        if first is not None:
            yield export.file, _batches(first, rows)
        return
    for value, rows in groupby(cursor, key=lambda row: row[0]):
        of_file = (row[1:] for row in rows)
        folder = NO_VALUE if value is None else quote(value, safe="")
        yield f"{export.partition_by}={folder}/{export.file}", _batches(next(of_file), of_file)


def _batches(first: tuple[Any, ...], rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    batch = [first]
    for row in rows:
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
        batch.append(row)
    yield batch


def _write_parquet(file: Path, columns: Sequence[_Column], batches: Iterator[list[tuple[Any, ...]]]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, rows = _arrow_schema(columns), 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            arrays = [
                pa.array(values, field.type) for values, field in zip(zip(*batch, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            rows += len(batch)
    return rows


def _write_csv(file: Path, columns: Sequence[_Column], batches: Iterator[list[tuple[Any, ...]]]) -> int:
    """As Postgres' own CSV, with `true` for `t`: a null is nothing and an empty text is two quotes."""
    rows = 0
    with file.open("w", encoding="utf-8", newline="") as sink:
        sink.write(_line([column.name for column in columns]))
        for batch in batches:
            sink.writelines(map(_line, batch))
            rows += len(batch)
    return rows


def _line(values: Sequence[str | None]) -> str:
    return ",".join(map(_quoted, values)) + "\n"


def _quoted(value: str | None) -> str:
    if value is None:
        return ""
    if not value or value == "\\." or any(mark in value for mark in EMPTY_OR_QUOTED):
        doubled = value.replace('"', '""')
        return f'"{doubled}"'
    return value


_WRITERS = {"parquet": _write_parquet, "csv": _write_csv}
# Types that are texts in Parquet.
AS_TEXT = ("json", "jsonb", "uuid")


def _arrow_schema(columns: Sequence[_Column]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([_field(column) for column in columns])


def _field(column: _Column) -> pa.Field:
    import pyarrow as pa

    if column.type == "numeric" and column.precision:
        kind = pa.decimal128(column.precision, column.scale or 0)
    else:
        kind = _types()[column.type]
    return pa.field(column.name, kind, column.nullable)


def _types() -> dict[str, pa.DataType]:
    import pyarrow as pa

    return {
        "bigint": pa.int64(),
        "boolean": pa.bool_(),
        "bytea": pa.binary(),
        "character varying": pa.string(),
        "date": pa.date32(),
        "double precision": pa.float64(),
        "integer": pa.int32(),
        "real": pa.float32(),
        "smallint": pa.int16(),
        "text": pa.string(),
        "timestamp with time zone": pa.timestamp("us", "UTC"),
        "timestamp without time zone": pa.timestamp("us"),
        **dict.fromkeys(AS_TEXT, pa.string()),
    }


def _columns(connection: psycopg.Connection, export: Export) -> list[_Column]:
    """The table's columns, that of the partitions first. Raises Permanent for what can't be exported."""
    query = (
        "select column_name, data_type, is_nullable = 'YES', numeric_precision, numeric_scale "
        "from information_schema.columns where table_schema = %s and table_name = %s order by ordinal_position"
    )
    found = [_Column(*row) for row in connection.execute(query, [export.schema, export.table])]
    table = f"{export.schema}.{export.table}"
    if not found:
        raise Permanent(f"there is no table {table}, or its role may not read it; build it, then run again")
    named = [*export.order_by, *([export.partition_by] if export.partition_by else [])]
    lacking = [name for name in named if name not in {column.name for column in found}]
    if lacking:
        raise Permanent(f"{table} has no column {', '.join(lacking)} to order or partition by; see its defs.yaml")
    strange = [f"{c.name} ({c.type})" for c in found if export.format == "parquet" and not _has_type(c)]
    if strange:
        raise Permanent(
            f"{table} has columns of types that Parquet has no place for here: {', '.join(strange)}; cast them in the "
            "model, or export CSV"
        )
    return sorted(found, key=lambda column: column.name != export.partition_by)


def _has_type(column: _Column) -> bool:
    return column.type in _types() or (column.type == "numeric" and 0 < (column.precision or 0) <= 38)
