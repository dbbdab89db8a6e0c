"""A raw table that is made of a dataset of the lake: its newest batch, whole."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from analytics.components.columns import ColumnSpec, as_columns
from analytics.components.raw_asset import raw_asset
from analytics.components.whole_table import Allowed
from analytics.lake.tables import Published, load_table, newest_commit
from analytics.warehouse.loading import Whole
from analytics.warehouse.tables import Table
from terrane.errors import as_failures, lake_errors
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.policies import when_any_is_new
from terrane.postgres import PostgresResource


@dataclass
class LakeTable(dg.Component, dg.Resolvable):
    """The asset `raw/<table>`, replaced by each run; asked for whenever a batch of the dataset is published.

    Attributes:
        table: its name among the raw ones.
        dataset: as it is published in the lake.
        object: the name of the Parquet file in each batch; other columns than those below may be in it.
        key: the column of the primary key.
        columns: name, type and description.
        description: of the asset.
        upstream: the asset that publishes the dataset; data_lake/<dataset> where it is left out.
        least_kept: the share of the table's rows that a batch must have at least; an empty batch, or one with less,
            fails the run and leaves the table as it is. 0 takes whatever comes.
        fresh_hours: how old the newest materialisation may be; left out, the asset is never stale.
        retries: how often a failure that may pass is tried again within the run.
        retry_delay_s: the wait before the first of them; it doubles.
    """

    table: str
    dataset: str
    object: str
    key: str
    columns: Sequence[ColumnSpec]
    description: str
    upstream: str | None = None
    least_kept: float = 0.5
    fresh_hours: int | None = None
    retries: int = 2
    retry_delay_s: float | None = None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        columns = as_columns(self.columns)
        table = Table(self.table, columns, self.key)
        upstream = dg.AssetKey.from_user_string(self.upstream or f"data_lake/{self.dataset}")
        of = Published(self.dataset, self.object, upstream.to_user_string())
        merge = Whole(self.least_kept)
        never_stale = {"freshness": "none: it changes when somebody publishes a batch"}

        @dg.asset(
            deps=[upstream],
            automation_condition=when_any_is_new(),
            **raw_asset(table, self, "lake", {} if self.fresh_hours else never_stale),
        )
        def loaded(
            config: Allowed, object_store: ObjectStoreResource, warehouse: PostgresResource
        ) -> dg.MaterializeResult:
            with as_failures(), lake_errors(object_store, f"reading {of.dataset}"):
                lake = object_store.bucket(DATA_LAKE)
                commit = newest_commit(lake, of)
                rows = load_table(lake, commit, of, table, warehouse, config.of(merge))
            return dg.MaterializeResult(
                metadata={"dagster/row_count": rows, "batch_id": commit.batch_id, "published_at": commit.published_at}
            )

        return dg.Definitions(assets=[loaded])
