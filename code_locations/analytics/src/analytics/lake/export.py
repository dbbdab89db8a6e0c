"""A table of the warehouse as a Parquet file, in constant memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from terrane.errors import Permanent, database_errors
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 50_000


def export_table(warehouse: PostgresResource, schema: str, table: str, order_by: str, target: Path) -> int:
    """Writes the table, ordered by one column, as Parquet compressed by zstd, all of one snapshot.

    Returns:
        How many rows were written.

    Raises:
        Permanent: a column's type has no place in Parquet here.
        Temporary: the warehouse was lost.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from psycopg import sql

    select = sql.SQL("select * from {} order by {}").format(sql.Identifier(schema, table), sql.Identifier(order_by))
    rows = 0
    with (
        database_errors(warehouse, f"reading {schema}.{table}"),
        warehouse.connect() as connection,
        connection.cursor("export") as cursor,
    ):
        arrow_schema = _schema(connection, schema, table)
        cursor.execute(select)
        with pq.ParquetWriter(target, arrow_schema, compression="zstd") as writer:
            while batch := cursor.fetchmany(BATCH_ROWS):
                columns = [
                    pa.array(values, field.type)
                    for values, field in zip(zip(*batch, strict=True), arrow_schema, strict=True)
                ]
                writer.write_batch(pa.record_batch(columns, schema=arrow_schema))
                rows += len(batch)
    return rows


def _schema(connection, schema: str, table: str) -> pa.Schema:
    import pyarrow as pa

    types = {
        "bigint": pa.int64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "double precision": pa.float64(),
        "integer": pa.int32(),
        "text": pa.string(),
        "timestamp with time zone": pa.timestamp("us", "UTC"),
    }
    query = (
        "select column_name, data_type, is_nullable = 'YES' from information_schema.columns "
        "where table_schema = %s and table_name = %s order by ordinal_position"
    )
    columns = connection.execute(query, [schema, table]).fetchall()
    strange = [f"{name} ({type_})" for name, type_, _ in columns if type_ not in types]
    if strange:
        raise Permanent(
            f"{schema}.{table} has columns of types not exported yet: {', '.join(strange)}; add them to lake/export.py"
        )
    return pa.schema([pa.field(name, types[type_], nullable) for name, type_, nullable in columns])
