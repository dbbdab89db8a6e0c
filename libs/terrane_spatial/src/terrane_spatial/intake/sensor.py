"""The sensor of the landing zone: a manifest is seen once, and its batch gets one run."""

from typing import Any

import dagster as dg

from terrane.object_store import LANDING_ZONE, ObjectStoreResource
from terrane_spatial.intake import landing_zone
from terrane_spatial.intake.accept import Intake, listing_digest, take_in
from terrane_spatial.intake.ledger import LedgerResource
from terrane_spatial.intake.manifest import Manifest, manifest_key
from terrane_spatial.runs.names import BATCH_TAG, LAKE, landed, published, run_config

RUN_KEY_TAG = "dagster/run_key"


@dg.sensor(
    name="manifests",
    target=dg.AssetSelection.key_prefixes([LAKE]),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Takes in the manifests of the landing zone: accepts each, with a run, or rejects it for good.",
)
def manifests(
    context: dg.SensorEvaluationContext, store: ObjectStoreResource, ledger: LedgerResource
) -> dg.SensorResult | dg.SkipReason:
    zone = store.bucket(LANDING_ZONE)
    found = landing_zone.list_manifests(zone)
    if context.cursor == listing_digest(found):
        return dg.SkipReason(f"nothing new in {LANDING_ZONE}: {len(found)} manifests, all seen")
    datasets = _datasets(context)
    with ledger.open() as opened:
        intake = take_in(zone, opened, datasets, found, lambda batch_id: _run_of(context, batch_id))
    for batch_id, reasons in intake.rejected.items():
        context.log.warning("Batch %s is rejected: %s", batch_id, "; ".join(reasons))
    wanted = [batch for batch in intake.waiting if batch.dataset in datasets]
    return dg.SensorResult(
        run_requests=[_run_request(batch.dataset or "", batch.batch_id) for batch in wanted],
        asset_events=[_landed(manifest) for manifest in intake.accepted],
        cursor=intake.digest,
        skip_reason=None if wanted else _summary(intake),
    )


def _run_of(context: dg.SensorEvaluationContext, batch_id: str) -> str | None:
    """The run that was launched for the batch, if any was."""
    runs = context.instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: batch_id}), limit=1)
    return runs[0].dagster_run.run_id if runs else None


def _datasets(context: dg.SensorEvaluationContext) -> set[str]:
    """The datasets of this location: the second level of the keys of what it puts into the lake."""
    assert context.repository_def
    keys = context.repository_def.asset_graph.materializable_asset_keys
    return {key.path[1] for key in keys if key.path[0] == LAKE}


def _run_request(dataset: str, batch_id: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=batch_id,
        asset_selection=[published(dataset)],
        run_config=run_config(dataset, batch_id),
        tags={BATCH_TAG: batch_id},
    )


def _landed(manifest: Manifest) -> dg.AssetMaterialization:
    facts: dict[str, Any] = {
        "batch_id": manifest.batch_id,
        "manifest": manifest_key(manifest.batch_id),
        "files": dg.JsonMetadataValue([f.model_dump(exclude_none=True) for f in manifest.files]),
        "bytes": sum(f.size for f in manifest.files),
    }
    return dg.AssetMaterialization(landed(manifest.dataset), metadata=facts)


def _summary(intake: Intake) -> str:
    return (
        f"{len(intake.rejected)} manifests rejected: {', '.join(intake.rejected)}"
        if intake.rejected
        else "nothing to run"
    )
