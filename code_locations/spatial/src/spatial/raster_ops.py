"""The one step of a raster dataset as an op, for its files live no longer than the process that converts them.

Annotations are evaluated here, because Dagster reads resources and configuration from them.
"""

import base64
from dataclasses import asdict
from typing import Any

import dagster as dg

from spatial import raster_steps, running
from spatial.dataset import Dataset, Published
from spatial.keys import BATCH_TAG
from spatial.ledger import LedgerResource
from spatial.ops import BatchConfig, tagger, work_of
from terrane.object_store import ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane.publishing import commit_key


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
        work = work_of(context, dataset, compute, store, ledger, config.batch_id)
        with running.step(work, raster_steps.CONVERT, tagger(context)):
            published = raster_steps.convert_and_publish(work, categories)
        context.instance.add_run_tags(context.run_id, {BATCH_TAG: published.commit.batch_id})
        context.add_output_metadata(_metadata(published))

    return publish


def _metadata(published: Published) -> dict[str, Any]:
    commit, summary = published.commit, published.commit.summary
    picture = base64.b64encode(published.preview).decode()
    return {
        "batch_id": commit.batch_id,
        "commit": commit_key(commit.dataset, commit.batch_id),
        "published_by": dg.MetadataValue.dagster_run(commit.run_id),
        "bytes": sum(o.size for o in commit.objects),
        "rasters": dg.JsonMetadataValue(summary["rasters"]),
        "bounds": dg.JsonMetadataValue(summary["bounds"]),
        "seconds": summary["seconds"],
        "objects": dg.JsonMetadataValue([asdict(o) for o in commit.objects]),
        "preview": dg.MarkdownMetadataValue(f"![preview of {commit.batch_id}](data:image/png;base64,{picture})"),
    }
