"""The job that keeps a dataset to its retention: of a batch go data, commit, partition, and rows of index and ledger.

Every dataset has it, for what lost a race or failed is collected in any case; batches go where the YAML says which.

Annotations are evaluated here, because Dagster reads resources from them.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.publishing import Commit, Retention, collect, prune
from terrane_spatial.intake.ledger import Ledger, LedgerResource
from terrane_spatial.publishing import stac_index
from terrane_spatial.runs.names import batches_of
from terrane_spatial.runs.work import Dataset

EVERY_DAY = "17 3 * * *"


def retention_of(dataset: Dataset, kept: Retention | None) -> tuple[dg.JobDefinition, dg.ScheduleDefinition]:
    """The job, and what runs it every night.

    Args:
        kept: which published batches stay; None for all.
    """
    about = f"Collects what failed of {dataset.name}" + (", and deletes batches beyond its retention" if kept else "")

    @dg.op(name=f"keep_{dataset.name}", description=about)
    def keep(context: dg.OpExecutionContext, store: ObjectStoreResource, ledger: LedgerResource) -> None:
        lake, partitions = store.bucket(DATA_LAKE), str(batches_of(dataset.name).name)
        with ledger.open() as opened:

            def forget(batch_id: str) -> None:
                context.instance.delete_dynamic_partition(partitions, batch_id)
                opened.forget(batch_id)

            def forget_published(commit: Commit) -> None:
                forget(commit.batch_id)

            gone = prune(lake, dataset.name, kept, forget_published) if kept else []
            ended = _not_published(opened, dataset.name, kept) if kept else []
            for batch_id in ended:
                forget(batch_id)
        collected = collect(lake, dataset.name)
        if gone:
            stac_index.refresh(lake, dataset.name, dataset.description)
        context.log.info(
            "%s published batches deleted, %s that failed or were rejected forgotten; of %s attempts that were not "
            "finished, %s had published and %s objects were deleted",
            len(gone),
            len(ended),
            collected.attempts,
            collected.published,
            collected.objects,
        )

    @dg.job(name=f"{dataset.name}_retention", executor_def=dg.in_process_executor, description=about)
    def retention() -> None:
        keep()

    status = dg.DefaultScheduleStatus.RUNNING
    return retention, dg.ScheduleDefinition(job=retention, cron_schedule=EVERY_DAY, default_status=status)


def _not_published(ledger: Ledger, dataset: str, kept: Retention) -> list[str]:
    """Batches that ended otherwise and came before all that would be kept."""
    moments = []
    if kept.age:
        moments.append(datetime.now(UTC) - kept.age)
    if kept.batches and (oldest := ledger.oldest_published(dataset)):
        moments.append(oldest)
    return ledger.ended_before(dataset, min(moments)) if moments else []


def retention(batches: int | None, days: float | None) -> Retention | None:
    """The retention that a dataset's YAML says; None for one that keeps everything. Raises ValueError."""
    if batches is None and days is None:
        return None
    if days is not None and days <= 0:
        raise ValueError(f"days is {days:g}, and has to be above 0")
    return Retention(batches, timedelta(days=days) if days is not None else None)
