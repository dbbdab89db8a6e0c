"""The sensor of the landing zone: takes manifests in, reports what landed, and asks for the runs of accepted batches.

Each of the three goes by the ledger and not by what this look brought, so that nothing is lost with a look that was
cut short: what was accepted and not reported is reported, what was accepted and has no run is asked for.
"""

import time
from contextlib import suppress
from typing import Any

import dagster as dg

from terrane.object_store import LANDING_ZONE, ObjectStoreResource
from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.intake.accept import Desk, Intake, take_in
from terrane_spatial.intake.ledger import Batch, Ledger, LedgerResource
from terrane_spatial.intake.manifest import manifest_key, parse
from terrane_spatial.intake.reporting import record_together
from terrane_spatial.limits import from_environment
from terrane_spatial.runs.names import BATCH_TAG, DATASET_TAG, LAKE, batches_of, landed, published

# The location of a sensor that is evaluated without a code server, as in a test.
DIRECTLY = "evaluated directly"
# Of the minute that Dagster gives a sensor: reporting goes on at the next look.
REPORTING_S = 8.0
REPORTED_AT_ONCE = 100
QUEUED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]


@dg.sensor(
    name="manifests",
    asset_selection=dg.AssetSelection.key_prefixes([LAKE]),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Takes in the manifests of the landing zone: accepts each, with a run, or rejects it for good.",
)
def manifests(
    context: dg.SensorEvaluationContext, store: ObjectStoreResource, ledger: LedgerResource
) -> dg.SensorResult | dg.SkipReason:
    declared = _datasets(context)
    with ledger.open() as opened:
        datasets = opened.declare(_location(context), declared)
        if declared - datasets:
            shown = ", ".join(sorted(declared - datasets))
            context.log.error("another running location declares %s too, and takes its batches", shown)
        intake = take_in(Desk(store.bucket(LANDING_ZONE), opened, datasets))
        _tell(context, intake)
        _report(context, opened, datasets)
        requests = [request for dataset in sorted(datasets) for request in _requests(context, opened, dataset)]
    if not requests:
        return dg.SkipReason(_summary(intake, store.name(LANDING_ZONE)))
    wanted: dict[str, list[str]] = {}
    for request in requests:
        wanted.setdefault(request.tags[DATASET_TAG], []).append(str(request.partition_key))
    added = [batches_of(dataset).build_add_request(batch_ids) for dataset, batch_ids in wanted.items()]
    return dg.SensorResult(run_requests=requests, dynamic_partitions_requests=added)


def _tell(context: dg.SensorEvaluationContext, intake: Intake) -> None:
    for batch_id, reasons in intake.rejected.items():
        context.log.warning("Batch %s is rejected: %s", batch_id, "; ".join(reasons))
    for key, reason in intake.put_off.items():
        context.log.warning("%s could not be looked at, and is tried again: %s", key, reason)
    for key, reason in intake.set_aside.items():
        context.log.error("%s is set aside until it is written again, after several tries: %s", key, reason)


def _report(context: dg.SensorEvaluationContext, ledger: Ledger, datasets: set[str]) -> None:
    """Records of each batch that it landed, as a partition; again of one whose record may not have been kept."""
    begun = time.monotonic()
    while unreported := ledger.unreported(datasets):
        for dataset in sorted({batch.dataset for batch in unreported if batch.dataset}):
            of_dataset = [batch for batch in unreported if batch.dataset == dataset]
            batch_ids = [batch.batch_id for batch in of_dataset]
            context.instance.add_dynamic_partitions(str(batches_of(dataset).name), batch_ids)
            for at in range(0, len(of_dataset), REPORTED_AT_ONCE):
                record_together(context.instance, [_landed(batch) for batch in of_dataset[at : at + REPORTED_AT_ONCE]])
                ledger.reported(batch_ids[at : at + REPORTED_AT_ONCE])
                if time.monotonic() - begun > REPORTING_S:
                    return


def _requests(context: dg.SensorEvaluationContext, ledger: Ledger, dataset: str) -> list[dg.RunRequest]:
    """Requests for the dataset's batches that have no run yet, as many as its share of the queue has room for.

    Each stands behind as many of its dataset as are queued before it, whatever other datasets have queued.
    """
    most = from_environment().queued_runs
    waiting = _without_runs(context, ledger, ledger.waiting(dataset, most))
    if not waiting:
        return []
    queued = context.instance.get_runs_count(dg.RunsFilter(statuses=QUEUED, tags={DATASET_TAG: dataset}))
    room = waiting[: max(0, most - queued)]
    return [_run_request(dataset, batch.batch_id, queued + at) for at, batch in enumerate(room)]


def _without_runs(context: dg.SensorEvaluationContext, ledger: Ledger, batches: list[Batch]) -> list[Batch]:
    """Those of the batches for which no run was launched; of the others the ledger gets the run."""
    if not batches:
        return []
    wanted = [batch.batch_id for batch in batches]
    tags = {BATCH_TAG: wanted, DATASET_TAG: [str(batches[0].dataset)]}
    records = context.instance.get_run_records(dg.RunsFilter(tags=tags))
    launched = {record.dagster_run.tags[BATCH_TAG]: record.dagster_run.run_id for record in reversed(records)}
    for batch_id, run_id in launched.items():
        ledger.assign(batch_id, run_id)
    return [batch for batch in batches if batch.batch_id not in launched]


def _location(context: dg.SensorEvaluationContext) -> str:
    """The name of the code location that the sensor is in."""
    origin = context.code_location_origin
    return origin.location_name if origin else DIRECTLY


def _datasets(context: dg.SensorEvaluationContext) -> set[str]:
    """The datasets of this location: the second level of the keys of what it puts into the lake."""
    assert context.repository_def
    keys = context.repository_def.asset_graph.materializable_asset_keys
    return {key.path[1] for key in keys if key.path[0] == LAKE}


def _run_request(dataset: str, batch_id: str, before: int) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=batch_id,
        asset_selection=[published(dataset)],
        partition_key=batch_id,
        tags={DATASET_TAG: dataset, "dagster/priority": str(-before)},
    )


def _landed(batch: Batch) -> dg.AssetMaterialization:
    key = manifest_key(batch.batch_id)
    facts: dict[str, Any] = {"batch_id": batch.batch_id, "manifest": key}
    # What an earlier release accepted may be refused by this one: by the batch's run, in words, and not here.
    with suppress(BatchRejectedError):
        files = parse(key, batch.manifest.encode()).files
        facts["files"] = dg.JsonMetadataValue([file.model_dump(exclude_none=True) for file in files])
        facts["bytes"] = sum(file.size for file in files)
    return dg.AssetMaterialization(landed(str(batch.dataset)), metadata=facts, partition=batch.batch_id)


def _summary(intake: Intake, landing_zone: str) -> str:
    counts = {
        "rejected": intake.rejected,
        "put off": intake.put_off,
        "set aside": intake.set_aside,
        "waiting for a location that declares their dataset": intake.waiting,
    }
    told = [f"{len(keys)} manifests {what}: {', '.join(keys)}" for what, keys in counts.items() if keys]
    return "; ".join(told) or f"nothing new in {landing_zone}"
