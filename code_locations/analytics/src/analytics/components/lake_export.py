"""A table of the warehouse in the lake, for whoever reads files rather than Postgres."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from analytics.lake.export import Export, Format, export_table
from analytics.ownership import OWNED
from terrane import names
from terrane.automation.proof import refuse_unproved
from terrane.errors import as_failures, lake_errors
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.policies import asset_defaults, retry_policy, when_new
from terrane.postgres import PostgresResource
from terrane.publishing import Retention, collect, commit_key, prune, publish

if TYPE_CHECKING:
    from terrane.object_store import Bucket


@dataclass
class LakeExport(dg.Component, dg.Resolvable):
    """The asset `exports/<name>`: a published batch a run, of the whole table, once it has passed its checks.

    A run reads and writes the whole table, whatever of it is new.

    Attributes:
        table: the asset's key, as gold/user_journal_features, which is schema and table.
        order_by: columns that the rows are sorted by; with a key among them their order is always the same.
        name: of the export; the table's where it is left out.
        format: `parquet` or `csv`.
        partition_by: a column with a file for each of its values, at most 5000, as `day=2026-01-01/<table>.parquet`.
        bucket: where it is published; one that only publishing writes to.
        prefix: what its dataset's name begins with.
        kept: how many of the newest batches stay.
        description: of the asset; a sentence about the table where it is left out.
        fresh_hours: how old the newest export may be before the asset counts as stale.
        retries: how often a failure that may pass is tried again within the run.
        retry_delay_s: the wait before the first of them; it doubles.
    """

    table: str
    order_by: Sequence[str]
    name: str | None = None
    format: Format = "parquet"
    partition_by: str | None = None
    bucket: str = DATA_LAKE
    prefix: str = "exports"
    kept: int = 30
    description: str | None = None
    fresh_hours: int = 30
    retries: int = 2
    retry_delay_s: float | None = None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        source = dg.AssetKey.from_user_string(self.table)
        schema, table = source.path
        name = self.name or table
        dataset, retention, bucket = f"{self.prefix}/{name}", Retention(batches=self.kept), self.bucket
        kind = {"parquet": "Parquet", "csv": "CSV"}[self.format]

        @dg.asset(
            key=["exports", name],
            deps=[source],
            automation_condition=when_new(),
            kinds={"python", self.format},
            description=self.description
            or f"{schema}.{table} as {kind} in the lake, a published batch a run; the newest {self.kept} are kept.",
            **asset_defaults(
                OWNED, "exports", self.fresh_hours, retries=retry_policy(self.retries, self.retry_delay_s)
            ),
        )
        def exported(
            context: dg.AssetExecutionContext, object_store: ObjectStoreResource, warehouse: PostgresResource
        ) -> dg.MaterializeResult:
            export = Export(names.current().schema(schema), table, self.order_by, self.format, self.partition_by)
            with as_failures():
                refuse_unproved(context.instance, context.run.run_id, [source])
            with as_failures(), tempfile.TemporaryDirectory(prefix="terrane-export-") as folder:
                files, rows = export_table(warehouse, export, Path(folder))
                with lake_errors(object_store, "publishing the export"):
                    lake = object_store.bucket(bucket)
                    commit = publish(lake, dataset, context.run_id, context.run_id, files, {"rows": rows})
            tidy(context, lake, dataset, retention)
            only = {"object": commit.objects[0].key} if len(commit.objects) == 1 else {"files": len(commit.objects)}
            return dg.MaterializeResult(
                metadata={
                    "dagster/row_count": rows,
                    "bytes": sum(each.size for each in commit.objects),
                    "commit": commit_key(dataset, commit.batch_id),
                    **only,
                }
            )

        return dg.Definitions(assets=[exported])


def tidy(context: dg.AssetExecutionContext, lake: "Bucket", dataset: str, retention: Retention) -> None:
    """Deletes older exports and what attempts left; a fault of it does not fail what is published."""
    try:
        gone, left = prune(lake, dataset, retention), collect(lake, dataset)
    except Exception as error:
        context.log.warning(f"old exports remain until the next run: {type(error).__name__} {error}")
    else:
        context.log.info(f"deleted {len(gone)} old exports, and {left.objects} objects of {left.attempts} attempts")
