"""Gold into the lake, for whoever reads Parquet rather than Postgres."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from analytics.lake.export import export_table
from analytics.ownership import OWNED
from terrane import names
from terrane.automation.proof import refuse_unproved
from terrane.errors import as_failures, lake_errors
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.policies import asset_defaults, when_new
from terrane.postgres import PostgresResource
from terrane.publishing import Retention, collect, commit_key, prune, publish

if TYPE_CHECKING:
    from terrane.object_store import Bucket

DATASET = "exports/user_journal_features"
FILE = "user_journal_features.parquet"
GOLD = dg.AssetKey(["gold", "user_journal_features"])
KEPT = Retention(batches=30)


@dg.asset(
    key=["exports", "user_journal_features"],
    deps=[GOLD],
    automation_condition=when_new(),
    kinds={"python", "parquet"},
    description="gold.user_journal_features as Parquet in the lake, a published batch a run; the newest 30 are kept.",
    **asset_defaults(OWNED, "exports", 30),
)
def user_journal_features(
    context: dg.AssetExecutionContext, object_store: ObjectStoreResource, warehouse: PostgresResource
) -> dg.MaterializeResult:
    with as_failures():
        refuse_unproved(context.instance, context.run.run_id, [GOLD])
    with as_failures(), tempfile.TemporaryDirectory(prefix="terrane-export-") as folder:
        file = Path(folder, FILE)
        schema, table = names.current().schema(names.GOLD), GOLD.path[-1]
        rows = export_table(warehouse, schema, table, order_by="user_id", target=file)
        with lake_errors(object_store, "publishing the export"):
            lake = object_store.bucket(DATA_LAKE)
            commit = publish(lake, DATASET, context.run_id, context.run_id, {FILE: file}, {"rows": rows})
    tidy(context, lake)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "bytes": commit.object(FILE).size,
            "object": commit.object(FILE).key,
            "commit": commit_key(DATASET, commit.batch_id),
        }
    )


def tidy(context: dg.AssetExecutionContext, lake: "Bucket") -> None:
    """Deletes exports beyond the newest 30 and what attempts left; a fault of it does not fail what is published."""
    try:
        gone, left = prune(lake, DATASET, KEPT), collect(lake, DATASET)
    except Exception as error:
        context.log.warning(f"old exports remain until the next run: {type(error).__name__} {error}")
    else:
        context.log.info(f"deleted {len(gone)} old exports, and {left.objects} objects of {left.attempts} attempts")
