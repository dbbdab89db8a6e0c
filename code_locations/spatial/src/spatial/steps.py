"""The three steps of a spatial run, each on its own in whatever process it is run: load, transform, export.

What one step leaves for the next is in the run's schema and in the ledger, so nothing but order passes between them. A
step that finds the schema gone, because a run is re-executed from its failed step, does the steps before it again.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatial import exporting, landing, preview, run_space, stac
from spatial.archives import extract
from spatial.conservation import Balance, NotConservedError, balance
from spatial.errors import BatchRejectedError, StepError
from spatial.gdal_settings import SUFFIXES
from spatial.geoparquet import Written
from spatial.ledger import Batch, LedgerResource
from spatial.loading import load_file
from spatial.manifest import Manifest, ManifestFile, manifest_key, parse
from terrane.object_store import DATA_LAKE, LANDING_ZONE, ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane.publishing import AlreadyPublished, Commit, commit_key, publish, read_commit

if TYPE_CHECKING:
    import psycopg

LOAD, TRANSFORM, EXPORT = "load", "transform", "export"
PREVIEW_FILE, ITEM_FILE = "preview.png", "item.json"


@dataclass(frozen=True)
class Dataset:
    """What a dataset is made of: the tables it needs, its SQL in order, the tables it publishes and what is drawn.

    Attributes:
        inputs: tables that a batch must bring, no more and no fewer.
        scripts: SQL files, run one after the other in the run's schema.
        outputs: names of published tables; `out_<name>` in the schema, `<name>.parquet` in the lake.
        polygons, points: tables of the schema for the preview.
    """

    name: str
    description: str
    inputs: tuple[str, ...]
    scripts: tuple[Path, ...]
    outputs: tuple[str, ...]
    polygons: str | None = None
    points: str | None = None


@dataclass(frozen=True)
class Work:
    """One run's work on a dataset: where its stores are, who it is and whom it re-executes.

    Attributes:
        wanted: the batch to work on; empty for the newest that was accepted.
        run_ids: this run's id first, then those of the runs it re-executes.
        say: where progress goes.
    """

    dataset: Dataset
    postgres: PostgresResource
    store: ObjectStoreResource
    ledger: LedgerResource
    run_ids: tuple[str, ...]
    say: Callable[[str], None]
    wanted: str = ""

    @property
    def run_id(self) -> str:
        return self.run_ids[0]


@dataclass(frozen=True)
class Published:
    """What a run published, or found published: the commit, and the preview as PNG."""

    commit: Commit
    preview: bytes


def load(work: Work) -> str:
    """Fetches the batch, checks it, and loads its files into the run's schema; returns the batch_id.

    Of a batch that is published already nothing is loaded, and nothing is made by the steps after this one.
    """
    begun = time.monotonic()
    batch = _begin(work)
    with run_space.connect(work.postgres, work.run_id) as connection:
        run_space.create(connection, work.run_id, batch.batch_id)
        commit = _published_before(work, batch.batch_id)
        if commit:
            work.say(f"{batch.batch_id} was published by run {commit.run_id} at {commit.published_at}; that stands")
        else:
            _load_files(work, connection, parse(manifest_key(batch.batch_id), batch.manifest.encode()))
        run_space.finish_stage(connection, LOAD, time.monotonic() - begun)
    return batch.batch_id


def transform(work: Work) -> list[Balance]:
    """Runs the dataset's SQL in the run's schema; returns what became of every table's rows."""
    with run_space.connect(work.postgres, work.run_id) as connection:
        if LOAD not in run_space.finished_stages(connection):
            work.say("The run's schema is not there, as in a re-execution from this step: loading the batch again")
            load(work)
        begun = time.monotonic()
        commit = _published_before(work, _batch_id(connection))
        balances = _balances_of(commit) if commit else _transform(work, connection)
        run_space.finish_stage(connection, TRANSFORM, time.monotonic() - begun)
    for each in balances:
        work.say(str(each))
    return balances


def require_conservation(balances: Sequence[Balance]) -> None:
    """Raises NotConservedError when rows were lost or made."""
    if not all(b.holds for b in balances):
        raise NotConservedError(balances)


def export(work: Work) -> Published:
    """Writes the files, publishes them as the batch, and drops the run's schema.

    A batch that is published already stays as it is, and is what is returned.
    """
    with run_space.connect(work.postgres, work.run_id) as connection:
        if TRANSFORM not in run_space.finished_stages(connection):
            work.say(
                "The run's tables are not there, as in a re-execution from this step: doing the steps before it again"
            )
            require_conservation(transform(work))
        batch_id = _batch_id(connection)
        published = _found_published(work, batch_id) or _publish(work, connection, batch_id)
    commit = published.commit
    with work.ledger.open() as ledger:
        ledger.publish(batch_id, commit.run_id, commit.summary, commit_key(work.dataset.name, batch_id))
    with work.postgres.connect(autocommit=True) as connection:
        run_space.drop(connection, run_space.schema_of(work.run_id))
    return published


def find_batch(work: Work) -> Batch:
    """The batch to work on: the one named, or the one of the re-executed runs, or the newest that was not rejected.

    Raises StepError when there is none, BatchRejectedError when it was rejected.
    """
    name = work.dataset.name
    with work.ledger.open() as ledger:
        recent = ledger.of_runs(name, work.run_ids) or ledger.newest(name)
        batch = ledger.get(work.wanted) if work.wanted else recent
    if batch is None or batch.dataset not in (name, None):
        wanted = f"batch {work.wanted}" if work.wanted else "batch"
        raise StepError(
            f"The ledger has no accepted {wanted} of dataset {name}: put its files, then its manifest "
            f"{manifest_key('<batch_id>')}, into {LANDING_ZONE}, and wait until the sensor manifests has accepted it"
        )
    if batch.state == "rejected":
        raise BatchRejectedError(batch.reasons)
    return batch


def _begin(work: Work) -> Batch:
    batch = find_batch(work)
    with work.ledger.open() as ledger:
        ledger.begin(batch.batch_id, work.run_id)
    work.say(f"Batch {batch.batch_id} of dataset {work.dataset.name}, {batch.state}")
    return batch


def _batch_id(connection: psycopg.Connection) -> str:
    batch_id = run_space.batch_of(connection)
    assert batch_id, "a stage is finished, so its schema names a batch"
    return batch_id


def _load_files(work: Work, connection: psycopg.Connection, manifest: Manifest) -> None:
    _check_tables(work.dataset, manifest)
    zone = work.store.bucket(LANDING_ZONE)
    with tempfile.TemporaryDirectory() as folder:
        for number, file in enumerate(manifest.files):
            place = Path(folder) / str(number)
            place.mkdir()
            start = time.monotonic()
            loaded = load_file(connection, _spatial_file(zone, file, place), file)
            seconds = time.monotonic() - start
            work.say(f"{file.key}: {loaded.rows} rows, EPSG:{loaded.srid}, in {seconds:.1f} s; {loaded.facts}")


def _transform(work: Work, connection: psycopg.Connection) -> list[Balance]:
    for script in work.dataset.scripts:
        start = time.monotonic()
        _run_script(connection, script)
        work.say(f"{script.name} in {time.monotonic() - start:.1f} s")
    return _balances(connection, work.dataset)


def _check_tables(dataset: Dataset, manifest: Manifest) -> None:
    brought = {file.table for file in manifest.files}
    missing, unknown = set(dataset.inputs) - brought, brought - set(dataset.inputs)
    if missing or unknown:
        expected = ", ".join(sorted(dataset.inputs))
        raise BatchRejectedError(
            f"files: dataset {dataset.name} takes one file for each of {expected}, named for it; "
            f"the batch brings {', '.join(sorted(brought))}"
        )


def _spatial_file(zone: Any, file: ManifestFile, folder: Path) -> Path:
    """Fetches the object under a name of our choice, and takes it out of its archive where it is in one."""
    suffix = Path(file.key).suffix.lower()
    if suffix not in SUFFIXES:
        raise BatchRejectedError(
            f"{file.key}: expected a file of type {', '.join(sorted(SUFFIXES))}, got {suffix or 'none'}"
        )
    path = landing.fetch(zone, file, folder / f"{file.table}{suffix}")
    return extract(path, folder, file.table, file.key) if suffix == ".zip" else path


def _run_script(connection: psycopg.Connection, script: Path) -> None:
    import psycopg

    try:
        with connection.transaction():
            connection.execute(script.read_bytes())
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        at = f" at character {error.diag.statement_position}" if error.diag.statement_position else ""
        raise StepError(
            f"{script.name} failed{at}: {error.diag.message_primary or error}. Mend the SQL, then re-execute the run"
        ) from error


def _balances(connection: psycopg.Connection, dataset: Dataset) -> list[Balance]:
    published = [balance(connection, name, exporting.OUT_PREFIX + name) for name in dataset.outputs]
    return published + [balance(connection, name, None) for name in dataset.inputs if name not in dataset.outputs]


def _balances_of(commit: Commit) -> list[Balance]:
    """The balances that a commit tells."""
    counts = ("in", "out", "dropped", "duplicates", "repaired", "merged", "made", "left")
    return [Balance(table, *(told.get(name, 0) for name in counts)) for table, told in commit.summary["tables"].items()]


def _published_before(work: Work, batch_id: str) -> Commit | None:
    try:
        return read_commit(work.store.bucket(DATA_LAKE), work.dataset.name, batch_id)
    except FileNotFoundError:
        return None


def _found_published(work: Work, batch_id: str) -> Published | None:
    """The batch as it lies in the lake, when it is published."""
    commit = _published_before(work, batch_id)
    if commit is None:
        return None
    return Published(commit, landing.read(work.store.bucket(DATA_LAKE), commit.object(PREVIEW_FILE).key))


def _publish(work: Work, connection: psycopg.Connection, batch_id: str) -> Published:
    """Makes the batch's files and publishes them; when another run was first, its commit is what is returned."""
    begun, dataset, lake = time.monotonic(), work.dataset, work.store.bucket(DATA_LAKE)
    picture = preview.draw(connection, dataset.polygons, dataset.points)
    with tempfile.TemporaryDirectory() as folder:
        written = {
            name: exporting.write_geoparquet(work.postgres, work.run_id, name, Path(folder) / f"{name}.parquet")
            for name in dataset.outputs
        }
        tables = {table.path.name: table for table in written.values()}
        files: dict[str, Path | bytes] = {**{name: table.path for name, table in tables.items()}, PREVIEW_FILE: picture}
        bounds = _union([table.bounds for table in written.values() if table.bounds])
        description = dataset.description
        files[ITEM_FILE] = stac.item_json(dataset.name, batch_id, description, datetime.now(UTC), bounds, files, tables)
        summary = _summary(connection, dataset, written, bounds, time.monotonic() - begun)
        try:
            return Published(publish(lake, dataset.name, batch_id, work.run_id, files, summary), picture)
        except AlreadyPublished as published:
            return Published(published.existing, picture)


def _summary(
    connection: psycopg.Connection,
    dataset: Dataset,
    written: Mapping[str, Written],
    bounds: tuple[float, float, float, float],
    export_seconds: float,
) -> dict[str, Any]:
    """What the commit says of the batch."""
    return {
        "rows": {name: table.rows for name, table in written.items()},
        "tables": {each.table: _counts(each) for each in _balances(connection, dataset)},
        "tally": run_space.tally(connection),
        "loads": run_space.loads(connection),
        "crs": f"EPSG:{exporting.EPSG}",
        "bounds": list(bounds),
        "geometry_types": {name: table.geometry_types for name, table in written.items()},
        "seconds": {**run_space.finished_stages(connection), EXPORT: export_seconds},
    }


def _counts(each: Balance) -> dict[str, int]:
    return {
        "in": each.rows_in,
        "out": each.rows_out,
        "dropped": each.dropped,
        "duplicates": each.duplicates,
        "repaired": each.repaired,
        "merged": each.merged,
        "made": each.made,
        "left": each.left,
    }


def _union(bounds: Sequence[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    if not bounds:
        raise StepError("No row with a geometry is left to publish: see in _tally's reasons why all were dropped")
    west, south, east, north = zip(*bounds, strict=True)
    return min(west), min(south), max(east), max(north)
