"""A raw table that grows by the day: one route of the API, ingested by daily partitions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from analytics import partitions
from analytics.components.columns import ColumnSpec, as_columns
from analytics.components.raw_asset import raw_asset
from analytics.components.refused_rows import refused_rows
from analytics.ingestion import DailySource, Mode, ingest_days, ingest_today
from analytics.resources import SourceApiResource
from analytics.source.asking import ComeBackLater
from analytics.source.client import SourceClient
from analytics.source.patience import not_before, remember
from analytics.warehouse.tables import Table
from terrane.errors import Permanent, Temporary, as_failures
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
        reread_days: how many days before the newest of a run, of those that were ingested, are read again: a row that
            comes late, or was changed or deleted, is in the warehouse a day later at most. What comes later still is
            not found. A run, of however many days, reads and writes so many days' rows more.
        to_this_moment: whether today is read after a run's days, until now: for rows that others refer to and that the
            API shows as of their newest version alone. Each run reads again all that changed since midnight.
        fill_new_columns: whether all days are asked for again when a column is new here; without it, older rows have
            none of it.
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
    reread_days: int = 2
    to_this_moment: bool = False
    fill_new_columns: bool = False
    deps: Sequence[str] = field(default_factory=list)
    fresh_hours: int = 30
    retries: int = 2
    retry_delay_s: float = 15

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        columns = as_columns(self.columns)
        table = Table(self.table, columns, "id", self.time_column)
        source = DailySource(table, self.route, self.mode, self.reread_days, self.to_this_moment, self.fill_new_columns)

        @dg.asset(
            deps=[dg.AssetKey.from_user_string(key) for key in self.deps],
            partitions_def=partitions.daily(),
            backfill_policy=dg.BackfillPolicy.single_run(),
            **raw_asset(table, self, "api"),
        )
        def ingested(
            context: dg.AssetExecutionContext, source_api: SourceApiResource, warehouse: PostgresResource
        ) -> None:
            ingest(context, source_api, warehouse, source)

        return dg.Definitions(assets=[ingested], asset_checks=[refused_rows(source.table)])


def ingest(
    context: dg.AssetExecutionContext, source_api: SourceApiResource, warehouse: PostgresResource, source: DailySource
) -> None:
    """Ingests the run's days. When one fails, those that were taken are still recorded as materialised."""
    days = [date.fromisoformat(key) for key in context.partition_keys]
    rows: dict[date, int] = {}
    own: set[date] = set()
    try:
        with as_failures(), source_api.client() as client, not_before(warehouse, client):
            ingest_days(warehouse, client, source, days, context.run_id, rows.__setitem__)
            if source.to_this_moment:
                _read_today(context, warehouse, client, source)
        own = set(days)
    finally:
        # Days of the look-back are none of the run's partitions, and of a run that fails none is recorded by itself.
        for day in sorted(rows.keys() - own):
            context.log_event(
                dg.AssetMaterialization(context.asset_key, metadata=_facts(rows[day]), partition=day.isoformat())
            )
    for day in days:
        context.add_asset_metadata(_facts(rows[day]), partition_key=day.isoformat())
    context.log.info(f"{sum(rows.values())} rows in {len(rows)} days")


def _read_today(
    context: dg.AssetExecutionContext, warehouse: PostgresResource, client: SourceClient, source: DailySource
) -> None:
    """Reads today's rows too; a fault of theirs costs no complete day, and their own day tells it when it is over."""
    try:
        ingest_today(warehouse, client, source)
    except (Temporary, Permanent) as error:
        if isinstance(error, ComeBackLater):
            remember(warehouse, client.url, error.until)
        context.log.warning(f"today's rows were not read, and come when the day is over: {error}")


def _facts(count: int) -> dict[str, int]:
    return {"dagster/row_count": count}
