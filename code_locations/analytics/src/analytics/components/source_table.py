"""A raw table that is small and taken whole: one route of the API without a window of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import dagster as dg

from analytics.components.columns import ColumnSpec, as_columns
from analytics.components.raw_asset import raw_asset
from analytics.components.whole_table import Allowed
from analytics.resources import SourceApiResource
from analytics.source.client import SourceClient
from analytics.source.patience import not_before
from analytics.source.window import Row
from analytics.warehouse import loading, tables
from terrane.errors import Permanent, as_failures, database_errors
from terrane.policies import until_there
from terrane.postgres import PostgresResource


@dataclass
class SourceTable(dg.Component, dg.Resolvable):
    """The asset `raw/<table>`, replaced by each run; asked for by itself only as long as it was never there.

    Attributes:
        table: its name among the raw ones.
        route: of the API, as /v1/game-types.
        columns: name, type and description; `id` is the key.
        description: of the asset.
        least_kept: the share of the table's rows that an answer must have at least; an empty answer, or one with less,
            fails the run and leaves the table as it is. 0 takes whatever comes.
        deletions: `delete` takes rows away that the source has no longer; `keep` leaves them, since history may refer
            to them, and each run says how many there are.
        fresh_hours: how old the newest materialisation may be before the asset counts as stale.
        retries: how often a failure that may pass is tried again within the run.
        retry_delay_s: the wait before the first of them; it doubles.
    """

    table: str
    route: str
    columns: Sequence[ColumnSpec]
    description: str
    least_kept: float = 0.5
    deletions: Literal["delete", "keep"] = "delete"
    fresh_hours: int = 30
    retries: int = 2
    retry_delay_s: float = 15

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        columns = as_columns(self.columns)
        table, route = tables.Table(self.table, columns, "id"), self.route
        merge = loading.Whole(self.least_kept, self.deletions == "keep")

        @dg.asset(
            automation_condition=until_there(),
            **raw_asset(table, self, "api"),
        )
        def ingested(
            config: Allowed, source_api: SourceApiResource, warehouse: PostgresResource
        ) -> dg.MaterializeResult:
            with as_failures(), source_api.client() as client:
                with not_before(warehouse, client):
                    items = read_all(client, route)
                with (
                    database_errors(warehouse, f"writing {table.qualified}"),
                    warehouse.connect(autocommit=True) as connection,
                ):
                    tables.ensure(connection, table)
                    came = loading.load(connection, table, [items], config.of(merge))
                    rows = loading.count(connection, table)
            return dg.MaterializeResult(metadata={"dagster/row_count": rows, "kept_though_gone": rows - came})

        return dg.Definitions(assets=[ingested])


def read_all(client: SourceClient, route: str) -> list[Row]:
    """All rows of a route without pages. Raises Permanent when the answer has none, not even an empty list of them."""
    items = client.get(route).get("items")
    if not isinstance(items, list):
        raise Permanent(
            f"{route}: the answer has no list of items; the table is as it was. The API's form has changed, "
            "adapt components/source_table.py"
        )
    return items
