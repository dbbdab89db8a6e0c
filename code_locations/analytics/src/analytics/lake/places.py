"""Places from the newest batch that the lake has published."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.warehouse import loading, tables
from analytics.warehouse.tables import Column, Table
from terrane import publishing
from terrane.errors import Permanent, Temporary, database_errors
from terrane.postgres import PostgresResource
from terrane.publishing import Commit, download

if TYPE_CHECKING:
    from terrane.object_store import Bucket

DATASET = "places"
OBJECT = "places.parquet"
BATCH_ROWS = 20_000
PLACES = Table(
    "places",
    (
        Column("place_id", "bigint", "The place, the same in every batch."),
        Column("name", "text", "The place's name."),
        Column("country_iso_a3", "text", "ISO 3166-1 alpha-3 code of the country that holds it."),
        Column("country", "text", "That country's name."),
        Column("continent", "text", "That country's continent."),
        Column("longitude", "double precision", "In degrees east, WGS 84."),
        Column("latitude", "double precision", "In degrees north, WGS 84."),
    ),
    "place_id",
)


def newest_commit(lake: Bucket) -> Commit:
    """The batch of places whose data are newest. Raises Permanent when none has been published, or one too new."""
    try:
        commit = publishing.newest_commit(lake, DATASET)
    except publishing.CommitTooNew as error:
        raise Permanent(str(error)) from None
    if commit is None:
        raise Permanent(
            f"the lake has no published batch of {DATASET}; materialise data_lake/{DATASET} in the location spatial, "
            "then run again"
        )
    return commit


def load_places(lake: Bucket, commit: Commit, warehouse: PostgresResource) -> int:
    """Makes the table of places what the commit holds, and returns how many rows that is.

    Raises:
        Permanent: the object is not there or has not the columns.
        Temporary: the object is not what its commit says, or the warehouse was lost.
    """
    with tempfile.TemporaryDirectory(prefix="terrane-places-") as folder:
        try:
            file = download(lake, commit.object(OBJECT), Path(folder, OBJECT))
        except KeyError as error:
            raise Permanent(f"{error.args[0]}; publish the batch again with it, under a new batch_id") from error
        except ValueError as error:
            raise Temporary(str(error)) from error
        with (
            database_errors(warehouse, f"writing {PLACES.qualified}"),
            warehouse.connect(autocommit=True) as connection,
        ):
            tables.ensure(connection, PLACES)
            return loading.load(connection, PLACES, read_rows(file, commit), loading.replace_all)


def read_rows(file: Path, commit: Commit) -> Iterator[list[dict[str, Any]]]:
    """The file's rows without their geometry, in lists of at most 20,000."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        lacking = [name for name in PLACES.names if name not in parquet.schema_arrow.names]
        if lacking:
            raise Permanent(
                f"{commit.object(OBJECT).key} has no column {', '.join(lacking)}; {PLACES.qualified} is as it was. "
                f"Mend the dataset {DATASET} in the location spatial and publish a new batch"
            )
        for batch in parquet.iter_batches(BATCH_ROWS, columns=PLACES.names):
            yield batch.to_pylist()
