"""The one step of a raster dataset as an op, for its files live no longer than the process that converts them.

Annotations are evaluated here, because Dagster reads resources and configuration from them.
"""

from typing import Any

import dagster as dg

from terrane.object_store import ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane_spatial.intake.ledger import LedgerResource
from terrane_spatial.rasters import convert
from terrane_spatial.runs import failures, names
from terrane_spatial.runs.names import BATCH_TAG
from terrane_spatial.runs.ops import BatchConfig, commit_metadata, tagger, work_of
from terrane_spatial.runs.work import Dataset, Published


def publish_op(dataset: Dataset, categories: bool) -> dg.OpDefinition:
    @dg.op(
        name=f"publish_{dataset.name}",
        description="Fetches and checks the batch's rasters, makes them cloud-optimised GeoTIFFs, and publishes them.",
        ins={"batches": dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
    )
    def publish(
        context: dg.OpExecutionContext,
        config: BatchConfig,
        compute: PostgresResource,
        store: ObjectStoreResource,
        ledger: LedgerResource,
    ) -> None:
        work = work_of(context, dataset, compute, store, ledger, config)
        with failures.reported(work, names.CONVERT, tagger(context)):
            published = convert.convert_and_publish(work, categories)
        context.instance.add_run_tags(context.run_id, {BATCH_TAG: published.commit.batch_id})
        context.add_output_metadata(_metadata(published))

    return publish


def _metadata(published: Published) -> dict[str, Any]:
    summary = published.commit.summary
    return {
        **commit_metadata(published, "preview"),
        "rasters": dg.JsonMetadataValue(summary["rasters"]),
        "seconds": summary["seconds"],
    }
