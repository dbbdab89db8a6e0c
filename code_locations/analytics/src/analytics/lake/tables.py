"""A table from the newest batch of a dataset that the lake has published."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.warehouse import loading, tables
from analytics.warehouse.tables import Table
from terrane import publishing
from terrane.errors import Permanent, Temporary, database_errors
from terrane.postgres import PostgresResource
from terrane.publishing import Commit, download

if TYPE_CHECKING:
    from terrane.object_store import Bucket

BATCH_ROWS = 20_000


@dataclass(frozen=True)
class Published:
    """What of the lake a table is made of: an object of each batch of the dataset, and the asset that publishes it."""

    dataset: str
    object: str
    asset: str


def newest_commit(lake: Bucket, of: Published) -> Commit:
    """The batch whose data are newest. Raises Permanent when none has been published, or one too new."""
    try:
        commit = publishing.newest_commit(lake, of.dataset)
    except publishing.CommitTooNew as error:
        raise Permanent(str(error)) from None
    if commit is None:
        raise Permanent(f"the lake has no published batch of {of.dataset}; materialise {of.asset}, then run again")
    return commit


def load_table(
    lake: Bucket, commit: Commit, of: Published, table: Table, warehouse: PostgresResource, merge: loading.Whole
) -> int:
    """Makes the table what the commit holds, and returns how many rows that is.

    Raises:
        Permanent: the object is not there, has not the columns, or has too few rows.
        Temporary: the object is not what its commit says, or the warehouse was lost.
    """
    with tempfile.TemporaryDirectory(prefix="terrane-lake-table-") as folder:
        try:
            file = download(lake, commit.object(of.object), Path(folder, "content.parquet"))
        except KeyError as error:
            raise Permanent(f"{error.args[0]}; publish the batch again with it, under a new batch_id") from error
        except ValueError as error:
            raise Temporary(str(error)) from error
        with (
            database_errors(warehouse, f"writing {table.qualified}"),
            warehouse.connect(autocommit=True) as connection,
        ):
            tables.ensure(connection, table)
            return loading.load(connection, table, read_rows(file, commit.object(of.object).key, table), merge)


def read_rows(file: Path, key: str, table: Table) -> Iterator[list[dict[str, Any]]]:
    """The file's rows, of the table's columns alone, in lists of at most 20,000."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        lacking = [name for name in table.names if name not in parquet.schema_arrow.names]
        if lacking:
            raise Permanent(
                f"{key} has no column {', '.join(lacking)}; {table.qualified} is as it was. Mend the dataset where it "
                "is published and publish a new batch"
            )
        for batch in parquet.iter_batches(BATCH_ROWS, columns=table.names):
            yield batch.to_pylist()
