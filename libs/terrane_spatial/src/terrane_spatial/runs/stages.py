"""The three stages of a spatial run, each on its own in whatever process it is run: load, transform, export.

What one stage leaves for the next is in the run's schema and in the ledger, so nothing but order passes between them.
Each works on the batch that the run's partition names. A stage that finds the schema gone, because a run is re-executed
from its failed stage, does the stages before it again; one that is begun again begins with the loaded batch.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from terrane.object_store import DATA_LAKE, LANDING_ZONE
from terrane.publishing import Commit, CommitsAreOverwritten, commit_key, probe_put_if_absent, read_commit
from terrane_spatial.errors import BatchRejectedError, QuarantinedError, StageError
from terrane_spatial.files.archives import Limits
from terrane_spatial.files.fetch import fetch_file
from terrane_spatial.intake.ledger import Batch
from terrane_spatial.intake.manifest import Manifest, manifest_key, parse
from terrane_spatial.loading.batch_loader import Progress, load_files, processors
from terrane_spatial.publishing import batch_files
from terrane_spatial.runs import run_schema
from terrane_spatial.runs.names import LOAD, TRANSFORM
from terrane_spatial.runs.work import Dataset, Published, Work
from terrane_spatial.transforms import row_balance, run_steps
from terrane_spatial.transforms.row_balance import Balance, NotConservedError

log = logging.getLogger(__name__)


def load(work: Work) -> None:
    """Fetches the batch, checks it, and loads its files into the run's schema.

    Of a batch that is published already nothing is loaded, and nothing is made by the stages after this one.
    """
    begun = time.monotonic()
    require_put_if_absent(work)
    batch = begin(work)
    with work.ledger.open() as ledger:
        platform = ledger.platform()
    with run_schema.connect(work.postgres, work.run_id, work.dataset.limits.statement_minutes) as connection:
        run_schema.create(connection, work.run_id, platform)
        commit = published_before(work)
        if commit:
            work.say(f"{work.batch_id} was published by run {commit.run_id} at {commit.published_at}; that stands")
        else:
            _load_files(work, parse(manifest_key(work.batch_id), batch.manifest.encode()))
        run_schema.finish_stage(connection, LOAD, time.monotonic() - begun)


def transform(work: Work) -> list[Balance]:
    """Runs the dataset's steps in the run's schema; returns what became of every table's rows."""
    with run_schema.connect(work.postgres, work.run_id, work.dataset.limits.statement_minutes) as connection:
        stages = run_schema.stages(connection)
        if stages.get(LOAD) is None:
            work.say("The run's schema is not there, as in a re-execution from this step: loading the batch again")
            load(work)
        elif TRANSFORM in stages and stages[TRANSFORM] is None:
            work.say("An earlier try of this step was cut short: loading the batch again")
            load(work)
        begun = time.monotonic()
        commit = published_before(work)
        if commit:
            balances = batch_files.balances_of(commit)
        else:
            if stages.get(TRANSFORM) is None:
                run_schema.begin_stage(connection, TRANSFORM)
                run_steps.transform(connection, work.dataset, work.say)
                row_balance.note(connection, run_steps.balances(connection, work.dataset))
            balances = row_balance.noted(connection)
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

    A batch that is published already stays as it is, and is what is returned. After the commit nothing fails.
    """
    with run_schema.connect(work.postgres, work.run_id, work.dataset.limits.statement_minutes) as connection:
        if run_schema.stages(connection).get(TRANSFORM) is None:
            work.say(
                "The run's tables are not there, as in a re-execution from this step: doing the steps before it again"
            )
            require_conservation(transform(work))
        commit = published_before(work)
        if commit:
            published = batch_files.published(work, commit)
        else:
            published = batch_files.make_and_publish(work, find_batch(work), connection)
    record(work, published.commit)
    run_schema.drop_quietly(work.postgres, work.run_id)
    return published


def record(work: Work, commit: Commit) -> None:
    """Brings the ledger up to a commit; what cannot be done now is the sweeper's."""
    try:
        with work.ledger.open() as ledger:
            ledger.publish(commit.batch_id, commit.run_id, commit.summary, commit_key(commit.dataset, commit.batch_id))
    except Exception as error:
        log.warning("%s is published, and the ledger learns of it later: %s", commit.batch_id, error)
        work.say(f"{commit.batch_id} is published; the ledger could not be told, and learns of it from the sweeper")


def find_batch(work: Work) -> Batch:
    """The batch to work on, as the ledger has it.

    Raises StageError when it has none of that id and dataset, BatchRejectedError or QuarantinedError when it is that.
    """
    with work.ledger.open() as ledger:
        batch = ledger.get(work.batch_id)
    if batch and batch.dataset is None and batch.state == "rejected":
        raise BatchRejectedError(batch.reasons)
    if batch is None or batch.dataset != work.dataset.name:
        raise StageError(
            f"The ledger has no accepted batch {work.batch_id} of dataset {work.dataset.name}, and nothing was "
            f"changed: put its files, then its manifest {manifest_key('<batch_id>')}, into "
            f"{work.store.name(LANDING_ZONE)}, and wait until the sensor manifests has accepted it"
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


def published_before(work: Work) -> Commit | None:
    """The batch's commit, when it is published."""
    try:
        return read_commit(work.store.bucket(DATA_LAKE), work.dataset.name, work.batch_id)
    except FileNotFoundError:
        return None


def _load_files(work: Work, manifest: Manifest) -> None:
    _check_tables(work.dataset, manifest)
    zone, limits = work.store.bucket(LANDING_ZONE), work.dataset.limits
    archives = Limits(total_bytes=limits.unpacked_mb << 20, ratio=limits.unpacked_ratio)
    load_files(
        manifest.files,
        lambda file, folder: fetch_file(zone, file, folder, work.dataset.formats, archives),
        lambda: run_schema.connect(work.postgres, work.run_id, limits.statement_minutes),
        Progress(work.say, work.observe),
        at_once=min(len(manifest.files), processors(), limits.files_at_once),
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
