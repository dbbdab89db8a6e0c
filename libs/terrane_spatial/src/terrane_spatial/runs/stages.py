"""The three steps of a spatial run, each on its own in whatever process it is run: load, transform, export.

What one step leaves for the next is in the run's schema and in the ledger, so nothing but order passes between them. A
step that finds the schema gone, because a run is re-executed from its failed step, does the steps before it again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from terrane.object_store import DATA_LAKE, LANDING_ZONE
from terrane.publishing import Commit, CommitsAreOverwritten, commit_key, probe_put_if_absent, read_commit
from terrane_spatial.errors import BatchRejectedError, QuarantinedError, StageError
from terrane_spatial.files.fetch import fetch_file
from terrane_spatial.intake import landing_zone
from terrane_spatial.intake.ledger import Batch
from terrane_spatial.intake.manifest import Manifest, manifest_key, parse
from terrane_spatial.loading.batch_loader import load_files
from terrane_spatial.publishing import batch_files, stac_index
from terrane_spatial.runs import run_schema
from terrane_spatial.runs.names import LOAD, TRANSFORM
from terrane_spatial.runs.work import Dataset, Published, Work
from terrane_spatial.transforms import run_steps
from terrane_spatial.transforms.row_balance import Balance, NotConservedError

if TYPE_CHECKING:
    import psycopg


def load(work: Work) -> str:
    """Fetches the batch, checks it, and loads its files into the run's schema; returns the batch_id.

    Of a batch that is published already nothing is loaded, and nothing is made by the steps after this one.
    """
    begun = time.monotonic()
    require_put_if_absent(work)
    batch = begin(work)
    with run_schema.connect(work.postgres, work.run_id) as connection:
        run_schema.create(connection, work.run_id, batch.batch_id)
        commit = _published_before(work, batch.batch_id)
        if commit:
            work.say(f"{batch.batch_id} was published by run {commit.run_id} at {commit.published_at}; that stands")
        else:
            _load_files(work, parse(manifest_key(batch.batch_id), batch.manifest.encode()))
        run_schema.finish_stage(connection, LOAD, time.monotonic() - begun)
    return batch.batch_id


def transform(work: Work) -> list[Balance]:
    """Runs the dataset's SQL in the run's schema; returns what became of every table's rows."""
    with run_schema.connect(work.postgres, work.run_id) as connection:
        if LOAD not in run_schema.finished_stages(connection):
            work.say("The run's schema is not there, as in a re-execution from this step: loading the batch again")
            load(work)
        begun = time.monotonic()
        commit = _published_before(work, _batch_id(connection))
        if commit:
            balances = batch_files.balances_of(commit)
        else:
            run_steps.transform(connection, work.dataset, work.say)
            balances = run_steps.balances(connection, work.dataset)
        run_schema.finish_stage(connection, TRANSFORM, time.monotonic() - begun)
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
    with run_schema.connect(work.postgres, work.run_id) as connection:
        if TRANSFORM not in run_schema.finished_stages(connection):
            work.say(
                "The run's tables are not there, as in a re-execution from this step: doing the steps before it again"
            )
            require_conservation(transform(work))
        batch_id = _batch_id(connection)
        published = found_published(work, batch_id) or batch_files.make_and_publish(work, connection, batch_id)
    record(work, published.commit)
    with work.postgres.connect(autocommit=True) as connection:
        run_schema.drop(connection, run_schema.schema_of(work.run_id))
    return published


def record(work: Work, commit: Commit) -> None:
    """Brings the dataset's index and the ledger up to a commit, this run's or one that was there before."""
    stac_index.refresh(work.postgres, work.store.bucket(DATA_LAKE), work.dataset.name, work.dataset.description)
    with work.ledger.open() as ledger:
        ledger.publish(commit.batch_id, commit.run_id, commit.summary, commit_key(work.dataset.name, commit.batch_id))


def find_batch(work: Work) -> Batch:
    """The batch to work on: the one named, or the one of the re-executed runs, or the newest that was not rejected.

    Raises StageError when there is none, BatchRejectedError or QuarantinedError when it is that.
    """
    name = work.dataset.name
    with work.ledger.open() as ledger:
        recent = ledger.of_runs(name, work.run_ids) or ledger.newest(name)
        batch = ledger.get(work.wanted) if work.wanted else recent
    if batch is None or batch.dataset not in (name, None):
        wanted = f"batch {work.wanted}" if work.wanted else "batch"
        raise StageError(
            f"The ledger has no accepted {wanted} of dataset {name}: put its files, then its manifest "
            f"{manifest_key('<batch_id>')}, into {work.store.name(LANDING_ZONE)}, and wait until the sensor manifests "
            "has accepted it"
        )
    if batch.state == "rejected":
        raise BatchRejectedError(batch.reasons)
    if batch.state == "quarantined" and not work.lift_quarantine:
        raise QuarantinedError(f"batch {batch.batch_id} is quarantined: {'; '.join(batch.reasons)}")
    return batch


def require_put_if_absent(work: Work) -> None:
    """Refuses a store that lets a second commit of a batch win, before anything is done for the batch."""
    try:
        probe_put_if_absent(work.store.bucket(DATA_LAKE))
    except CommitsAreOverwritten as error:
        raise StageError(f"Nothing can be published safely: {error}; then re-execute the run") from None


def begin(work: Work) -> Batch:
    """Finds the batch and marks it as being worked on."""
    batch = find_batch(work)
    with work.ledger.open() as ledger:
        ledger.begin(batch.batch_id, work.run_id)
    work.say(f"Batch {batch.batch_id} of dataset {work.dataset.name}, {batch.state}")
    return batch


def _batch_id(connection: psycopg.Connection) -> str:
    batch_id = run_schema.batch_of(connection)
    assert batch_id, "a stage is finished, so its schema names a batch"
    return batch_id


def _load_files(work: Work, manifest: Manifest) -> None:
    _check_tables(work.dataset, manifest)
    zone = work.store.bucket(LANDING_ZONE)
    load_files(
        manifest.files,
        lambda file, folder: fetch_file(zone, file, folder, work.dataset.formats),
        lambda: run_schema.connect(work.postgres, work.run_id),
        work.say,
        work.observe,
    )


def _check_tables(dataset: Dataset, manifest: Manifest) -> None:
    brought = {file.table for file in manifest.files}
    missing, unknown = set(dataset.inputs) - brought, brought - set(dataset.inputs)
    if missing or unknown:
        expected = ", ".join(sorted(dataset.inputs))
        raise BatchRejectedError(
            f"files: dataset {dataset.name} takes one file for each of {expected}, named for it; "
            f"the batch brings {', '.join(sorted(brought))}"
        )


def _published_before(work: Work, batch_id: str) -> Commit | None:
    try:
        return read_commit(work.store.bucket(DATA_LAKE), work.dataset.name, batch_id)
    except FileNotFoundError:
        return None


def found_published(work: Work, batch_id: str) -> Published | None:
    """The batch as it lies in the lake, when it is published."""
    commit = _published_before(work, batch_id)
    if commit is None:
        return None
    return Published(
        commit, landing_zone.read(work.store.bucket(DATA_LAKE), commit.object(batch_files.PREVIEW_FILE).key)
    )
