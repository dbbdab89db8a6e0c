"""Gold into the lake, for whoever reads Parquet rather than Postgres."""

import tempfile
from datetime import timedelta
from pathlib import Path

import dagster as dg

from analytics.lake.export import export_table
from terrane.errors import as_failures
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.policies import eager
from terrane.postgres import PostgresResource
from terrane.publishing import commit_key, publish

DATASET = "exports/user_journal_features"
FILE = "user_journal_features.parquet"
GOLD = dg.AssetKey(["gold", "user_journal_features"])


@dg.asset(
    key=["exports", "user_journal_features"],
    deps=[GOLD],
    automation_condition=eager(),
    retry_policy=dg.RetryPolicy(max_retries=2, delay=15, backoff=dg.Backoff.EXPONENTIAL),
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30)),
    group_name="exports",
    owners=["team:analytics"],
    kinds={"python", "parquet"},
    tags={"domain": "analytics"},
    description="gold.user_journal_features as Parquet in the lake, a published batch a run.",
)
def user_journal_features(
    context: dg.AssetExecutionContext, object_store: ObjectStoreResource, warehouse: PostgresResource
) -> dg.MaterializeResult:
    with as_failures(), tempfile.TemporaryDirectory(prefix="terrane-export-") as folder:
        file = Path(folder, FILE)
        rows = export_table(warehouse, *GOLD.path, order_by="user_id", target=file)
        commit = publish(
            object_store.bucket(DATA_LAKE), DATASET, context.run_id, context.run_id, {FILE: file}, {"rows": rows}
        )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "bytes": commit.object(FILE).size,
            "object": commit.object(FILE).key,
            "commit": commit_key(DATASET, commit.batch_id),
        }
    )
