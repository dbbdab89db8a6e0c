"""Tidies up after runs that could not do so themselves, because they were killed or lost the server.

The batch of a run that failed or was cancelled is closed at once, by sensors on the run's status. What is left, schemas
above all, a job sweeps twice an hour.

Annotations are evaluated here, because Dagster reads resources from them.
"""

from collections.abc import Collection, Sequence

import dagster as dg

from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane.publishing import commit_key, read_commit
from terrane_spatial.intake.ledger import Batch, Ledger, LedgerResource
from terrane_spatial.runs import run_schema
from terrane_spatial.runs.names import BATCH_TAG, DATASET_TAG, LAKE

UNFINISHED = "the run {run_id} ended without saying why; it was killed, or lost Postgres. Re-execute it"
CANCELLED = "the run {run_id} was cancelled. Re-execute it"
SWEEPS = "*/30 * * * *"
OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
UNDER_WAY = [status for status in dg.DagsterRunStatus if status not in OVER]


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
    description="Closes the batch of a run that failed without doing so itself.",
)
def failed_runs(context: dg.RunStatusSensorContext, ledger: LedgerResource) -> None:
    _close(context.dagster_run, ledger, UNFINISHED)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
    description="Closes the batch of a run that was cancelled.",
)
def cancelled_runs(context: dg.RunStatusSensorContext, ledger: LedgerResource) -> None:
    _close(context.dagster_run, ledger, CANCELLED)


@dg.op
def sweep(
    context: dg.OpExecutionContext, compute: PostgresResource, store: ObjectStoreResource, ledger: LedgerResource
) -> None:
    """Drops the schemas of ended runs that no process holds, and closes their batches in the ledger."""

    def active(run_ids: Sequence[str]) -> Collection[str]:
        if not run_ids:
            return ()
        found = context.instance.get_runs(dg.RunsFilter(run_ids=list(run_ids), statuses=UNDER_WAY))
        return {run.run_id for run in found}

    with ledger.open() as opened:
        swept = run_schema.sweep(compute, opened.platform(), active)
        working = {batch.run_id: batch for batch in opened.running() if batch.run_id}
        alive = active(list(working))
        ended = [batch for run_id, batch in working.items() if run_id not in alive]
        for batch in ended:
            _settle(opened, store, batch)
    for schema in swept.dropped:
        context.log.info("Dropped %s, left over from run %s", schema, run_schema.run_of(schema))
    for schema, reason in swept.left.items():
        context.log.warning("%s could not be dropped, and stays until it can be: %s", schema, reason)
    context.log.info("%s schemas dropped, %s left, %s batches closed", len(swept.dropped), len(swept.left), len(ended))


@dg.job(
    executor_def=dg.in_process_executor,
    description="Drops the schemas of ended runs that no process holds, and closes their batches in the ledger.",
)
def sweeper() -> None:
    sweep()


sweeps = dg.ScheduleDefinition(
    name="sweeps", job=sweeper, cron_schedule=SWEEPS, default_status=dg.DefaultScheduleStatus.RUNNING
)


def _close(run: dg.DagsterRun, ledger: LedgerResource, reason: str) -> None:
    batch_id = run.tags.get(BATCH_TAG)
    if not batch_id:
        return
    chosen = {key.path[1] for key in run.asset_selection or () if key.path[0] == LAKE}
    datasets = chosen | ({run.tags[DATASET_TAG]} if DATASET_TAG in run.tags else set())
    with ledger.open() as opened:
        opened.end_of_run(run.run_id, batch_id, sorted(datasets), reason.format(run_id=run.run_id))


def _settle(ledger: Ledger, store: ObjectStoreResource, batch: Batch) -> None:
    """What became of a batch whose run is over and of which the ledger knows no end: published, or failed."""
    try:
        commit = read_commit(store.bucket(DATA_LAKE), str(batch.dataset), batch.batch_id)
    except FileNotFoundError:
        ledger.end(batch.batch_id, "failed", [UNFINISHED.format(run_id=batch.run_id)])
    else:
        key = commit_key(commit.dataset, commit.batch_id)
        ledger.publish(commit.batch_id, commit.run_id, commit.summary, key)
