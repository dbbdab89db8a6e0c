"""A raw table that grows by the day: one route of the API, ingested by daily partitions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from analytics import partitions
from analytics.components.columns import ColumnSpec, as_columns, column_schema
from analytics.components.refused_rows import refused_rows
from analytics.ingestion import DailySource, Mode, ingest_days
from analytics.ownership import OWNED
from analytics.resources import SourceApiResource
from analytics.warehouse.tables import Table
from terrane.errors import as_failures
from terrane.policies import asset_defaults, retry_policy
from terrane.postgres import PostgresResource


@dataclass
class DailySourceTable(dg.Component, dg.Resolvable):
    """The asset `raw/<table>`. A range of days is one run, which commits day by day.

    Attributes:
        table: its name among the raw ones.
        route: of the API, as /v1/users.
        time_column: what `from` and `to` select by.
        mode: `newest_wins` keeps of each id the latest row; `replace_day` makes a day's rows exactly what came in.
        columns: name, type and description; `id` is the key.
        description: of the asset.
        deps: keys of assets that go first, as raw/users.
        fresh_hours: how old the newest materialisation may be before the asset counts as stale.
        retries: how often a failure that may pass is tried again within the run.
        retry_delay_s: the wait before the first of them; it doubles.
    """

    table: str
    route: str
    time_column: str
    mode: Mode
    columns: Sequence[ColumnSpec]
    description: str
    deps: Sequence[str] = field(default_factory=list)
    fresh_hours: int = 30
    retries: int = 2
    retry_delay_s: float = 15

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        columns = as_columns(self.columns)
        source = DailySource(Table(self.table, columns, "id", self.time_column), self.route, self.mode)

        @dg.asset(
            key=["raw", self.table],
            deps=[dg.AssetKey.from_user_string(key) for key in self.deps],
            partitions_def=partitions.daily(),
            backfill_policy=dg.BackfillPolicy.single_run(),
            kinds={"python", "postgres"},
            description=self.description,
            metadata={"dagster/table_name": source.table.qualified, "dagster/column_schema": column_schema(columns)},
            **asset_defaults(
                OWNED,
                "ingestion",
                self.fresh_hours,
                {"source": "api"},
                retry_policy(self.retries, self.retry_delay_s),
            ),
        )
        def ingested(
            context: dg.AssetExecutionContext, source_api: SourceApiResource, warehouse: PostgresResource
        ) -> None:
            ingest(context, source_api, warehouse, source)

        return dg.Definitions(assets=[ingested], asset_checks=[refused_rows(source.table)])


def ingest(
    context: dg.AssetExecutionContext, source_api: SourceApiResource, warehouse: PostgresResource, source: DailySource
) -> None:
    """Ingests the run's days. When one fails, those before it are still recorded as materialised."""
    days = [date.fromisoformat(key) for key in context.partition_keys]
    rows: dict[date, int] = {}
    try:
        with as_failures(), source_api.client() as client:
            ingest_days(warehouse, client, source, days, context.run_id, rows.__setitem__)
    except BaseException:
        for day, count in rows.items():
            context.log_event(
                dg.AssetMaterialization(context.asset_key, metadata=_facts(count), partition=day.isoformat())
            )
        raise
    for day, count in rows.items():
        context.add_asset_metadata(_facts(count), partition_key=day.isoformat())
    context.log.info(f"{sum(rows.values())} rows in {len(rows)} days")


def _facts(count: int) -> dict[str, int]:
    return {"dagster/row_count": count}
