"""The three steps as ops: what Dagster gives goes in, what people see in Dagster comes out.

Annotations are evaluated here, because Dagster reads resources and configuration from them.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg
from pydantic import Field

from terrane.object_store import ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane.publishing import commit_key
from terrane_spatial.intake.ledger import LedgerResource
from terrane_spatial.runs import failures, names, stages
from terrane_spatial.runs.names import BATCH_TAG, landed
from terrane_spatial.runs.work import Dataset, Published, Work

CHECK = "conservation"


class BatchConfig(dg.Config):
    """Which batch to work on."""

    batch_id: str = Field(default="", description="A batch in the ledger; empty for the newest that was accepted.")
    lift_quarantine: bool = Field(
        default=False, description="Work on the batch though a file of it has ended the process that read it, twice."
    )


NEWEST = BatchConfig()


def work_of(
    context: dg.OpExecutionContext,
    dataset: Dataset,
    compute: PostgresResource,
    store: ObjectStoreResource,
    ledger: LedgerResource,
    config: BatchConfig = NEWEST,
) -> Work:
    """What the op's context and resources say of the run's work."""
    run = context.run
    ancestors = [i for i in (run.parent_run_id, run.root_run_id) if i and i != run.run_id]
    run_ids = (run.run_id, *ancestors)
    return Work(
        dataset,
        compute,
        store,
        ledger,
        run_ids,
        context.log.info,
        wanted=config.batch_id,
        lift_quarantine=config.lift_quarantine,
        observe=_observer(context, dataset),
    )


def _observer(context: dg.OpExecutionContext, dataset: Dataset) -> Any:
    """Figures of loading become observations of what landed, so that they are in the run's events while it works."""

    def observe(figures: Mapping[str, Any]) -> None:
        metadata = {name: dg.JsonMetadataValue(dict(facts)) for name, facts in figures.items()}
        context.log_event(dg.AssetObservation(landed(dataset.name), metadata=metadata))

    return observe


def tagger(context: dg.OpExecutionContext) -> Any:
    """A function that tags the run."""
    return lambda tags: context.instance.add_run_tags(context.run_id, tags)


def commit_metadata(published: Published, picture_is: str) -> dict[str, Any]:
    """What there is to say of any published batch, whatever is in it."""
    commit = published.commit
    picture = base64.b64encode(published.preview).decode()
    return {
        "batch_id": commit.batch_id,
        "commit": commit_key(commit.dataset, commit.batch_id),
        "published_by": dg.MetadataValue.dagster_run(commit.run_id),
        "bytes": sum(o.size for o in commit.objects),
        "bounds": dg.JsonMetadataValue(commit.summary["bounds"]),
        "objects": dg.JsonMetadataValue([asdict(o) for o in commit.objects]),
        "preview": dg.MarkdownMetadataValue(f"![{picture_is} of {commit.batch_id}](data:image/png;base64,{picture})"),
    }


def load_op(dataset: Dataset) -> dg.OpDefinition:
    @dg.op(
        name=f"load_{dataset.name}",
        description="Fetches, checks and loads the batch's files.",
        ins={"batches": dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
    )
    def load(
        context: dg.OpExecutionContext,
        config: BatchConfig,
        compute: PostgresResource,
        store: ObjectStoreResource,
        ledger: LedgerResource,
    ) -> None:
        work = work_of(context, dataset, compute, store, ledger, config)
        with failures.reported(work, names.LOAD, tagger(context)):
            batch_id = stages.load(work)
        context.instance.add_run_tags(context.run_id, {BATCH_TAG: batch_id})

    return load


def transform_op(dataset: Dataset, key: dg.AssetKey) -> dg.OpDefinition:
    @dg.op(
        name=f"transform_{dataset.name}",
        description="Runs the dataset's steps, and checks that rows are conserved.",
        ins={"loaded": dg.In(dg.Nothing)},
        out={"transformed": dg.Out(dg.Nothing, is_required=False), CHECK: dg.Out(dg.Nothing, is_required=False)},
    )
    def transform(
        context: dg.OpExecutionContext, compute: PostgresResource, store: ObjectStoreResource, ledger: LedgerResource
    ) -> Iterator[Any]:
        work = work_of(context, dataset, compute, store, ledger)
        with failures.reported(work, names.TRANSFORM, tagger(context)):
            balances = stages.transform(work)
        yield dg.AssetCheckResult(
            passed=all(b.holds for b in balances),
            asset_key=key,
            check_name=CHECK,
            metadata={b.table: dg.JsonMetadataValue({**asdict(b), "holds": b.holds}) for b in balances},
        )
        with failures.reported(work, names.TRANSFORM, tagger(context)):
            stages.require_conservation(balances)
        yield dg.Output(None, "transformed")

    return transform


def export_op(dataset: Dataset, row_count: str) -> dg.OpDefinition:
    @dg.op(
        name=f"export_{dataset.name}",
        description="Writes GeoParquet, a STAC item and a map, and publishes them as the batch.",
        ins={"transformed": dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
    )
    def export(
        context: dg.OpExecutionContext, compute: PostgresResource, store: ObjectStoreResource, ledger: LedgerResource
    ) -> None:
        work = work_of(context, dataset, compute, store, ledger)
        with failures.reported(work, names.EXPORT, tagger(context)):
            published = stages.export(work)
        context.add_output_metadata(_metadata(published, row_count))

    return export


def _metadata(published: Published, row_count: str) -> dict[str, Any]:
    summary = published.commit.summary
    per_table = {
        f"rows {table} {what}": number for table, counts in summary["tables"].items() for what, number in counts.items()
    }
    return {
        "dagster/row_count": summary["rows"][row_count],
        **per_table,
        **commit_metadata(published, "map"),
        **{f"seconds {name}": round(seconds, 3) for name, seconds in summary["seconds"].items()},
        "loads": dg.JsonMetadataValue(summary["loads"]),
        "tally": dg.JsonMetadataValue(summary["tally"]),
    }
