"""The sensor that tidies up after runs that could not do so themselves, because they were killed or lost the server."""

import dagster as dg

from terrane.postgres import PostgresResource
from terrane_spatial.intake.ledger import LedgerResource
from terrane_spatial.runs import run_schema

UNFINISHED = "the run {run_id} ended without saying why; it was killed, or lost Postgres. Re-execute it"


@dg.sensor(
    name="sweeper",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=20,
    description="Drops the schemas of ended runs that no process holds, and closes their batches in the ledger.",
)
def sweeper(context: dg.SensorEvaluationContext, compute: PostgresResource, ledger: LedgerResource) -> dg.SkipReason:
    def is_active(run_id: str) -> bool:
        run = context.instance.get_run_by_id(run_id)
        return run is not None and not run.is_finished

    swept = run_schema.sweep(compute, is_active)
    with ledger.open() as opened:
        closed = [batch for batch in opened.running() if batch.run_id and not is_active(batch.run_id)]
        for batch in closed:
            opened.end(batch.batch_id, "failed", [UNFINISHED.format(run_id=batch.run_id)])
    for schema in swept:
        context.log.warning("Dropped %s, left over from run %s", schema, run_schema.run_of(schema))
    return dg.SkipReason(f"{len(swept)} schemas dropped, {len(closed)} batches closed")
