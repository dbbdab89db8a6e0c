"""The third step's work: the files of a batch made of the run's tables, and published as one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane.object_store import DATA_LAKE
from terrane.publishing import AlreadyPublished, Commit, Content, publish
from terrane_spatial import antimeridian
from terrane_spatial.errors import StageError
from terrane_spatial.intake.ledger import Batch
from terrane_spatial.intake.manifest import manifest_key, parse
from terrane_spatial.publishing import extra_formats, map_preview, postgis_export, stac
from terrane_spatial.publishing.geoparquet import Written
from terrane_spatial.runs import metadata, run_schema
from terrane_spatial.runs.names import EXPORT
from terrane_spatial.runs.work import Published, Work
from terrane_spatial.transforms import row_balance
from terrane_spatial.transforms.row_balance import Balance

if TYPE_CHECKING:
    import psycopg

COUNTS = {
    "in": "rows_in",
    "out": "rows_out",
    "dropped": "dropped",
    "duplicates": "duplicates",
    "repaired": "repaired",
    "merged": "merged",
    "made": "made",
    "left": "left",
    "rejected": "rejected",
}


def make_and_publish(work: Work, batch: Batch, connection: psycopg.Connection) -> Published:
    """Makes the batch's files and publishes them; when another run was first, its commit is what is returned."""
    begun, dataset = time.monotonic(), work.dataset
    picture = map_preview.draw(connection, dataset.polygons, dataset.points)
    with tempfile.TemporaryDirectory() as folder:
        written = {
            name: postgis_export.write_geoparquet(work.postgres, work.run_id, name, Path(folder) / f"{name}.parquet")
            for name in dataset.outputs
        }
        tables = {table.path.name: table for table in written.values()}
        files = {name: Content.of(table.path) for name, table in tables.items()}
        files[stac.PREVIEW_FILE] = Content.of(picture)
        for name, table in written.items():
            for wanted in dataset.exports:
                copy = extra_formats.write(wanted, table, name)
                files[copy.name] = Content.of(copy)
        bounds = union([table.bounds for table in written.values() if table.bounds])
        about = stac.About(dataset.name, work.batch_id, dataset.description, data_time_of(batch), bounds)
        files[stac.ITEM_FILE] = Content.of(stac.item_json(about, files, tables))
        summary = _summary(connection, written, bounds, time.monotonic() - begun)
        return commit(work, files, summary, about.data_time)


def data_time_of(batch: Batch) -> datetime:
    """What newest goes by: the time that the manifest names, or else that at which its manifest landed."""
    return parse(manifest_key(batch.batch_id), batch.manifest.encode()).data_time or batch.landed_at


def commit(work: Work, files: Mapping[str, Content], summary: Mapping[str, Any], data_time: datetime) -> Published:
    """Publishes the files as the batch; when another run was first, its commit is what is returned."""
    facts = metadata.of_summary(summary, work.dataset.row_count)
    lake = work.store.bucket(DATA_LAKE)
    try:
        made = publish(lake, work.dataset.name, work.batch_id, work.run_id, files, summary, data_time=data_time)
    except AlreadyPublished as error:
        return published(work, error.existing)
    return Published(made, {**facts, **metadata.of_commit(made, work.store.name(DATA_LAKE))})


def published(work: Work, commit: Commit) -> Published:
    """The batch as it lies in the lake."""
    facts = metadata.of_summary(commit.summary, work.dataset.row_count)
    return Published(commit, {**facts, **metadata.of_commit(commit, work.store.name(DATA_LAKE))})


def balances_of(commit: Commit) -> list[Balance]:
    """The balances that a commit tells."""
    tables = commit.summary["tables"].items()
    return [Balance(table, **{name: told.get(short, 0) for short, name in COUNTS.items()}) for table, told in tables]


def _summary(
    connection: psycopg.Connection,
    written: Mapping[str, Written],
    bounds: tuple[float, float, float, float],
    export_seconds: float,
) -> dict[str, Any]:
    """What the commit says of the batch."""
    return {
        "rows": {name: table.rows for name, table in written.items()},
        "tables": {each.table: _counts(each) for each in row_balance.noted(connection)},
        "tally": run_schema.tally(connection),
        "loads": run_schema.loads(connection),
        "crs": f"EPSG:{postgis_export.EPSG}",
        "bounds": list(bounds),
        "geometry_types": {name: table.geometry_types for name, table in written.items()},
        "seconds": {**run_schema.stages(connection), EXPORT: export_seconds},
    }


def _counts(each: Balance) -> dict[str, int]:
    return {short: getattr(each, name) for short, name in COUNTS.items()}


def union(bounds: Sequence[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """The box around all boxes. Raises StageError when there is none."""
    if not bounds:
        raise StageError("No row with a geometry is left to publish: see in _tally's reasons why all were dropped")
    return antimeridian.union(bounds)
