"""What every asset `raw/<table>` has in common, wherever its rows come from."""

from collections.abc import Mapping
from typing import Any, Protocol

from analytics.components.columns import column_schema
from analytics.ownership import OWNED
from analytics.warehouse.tables import Table
from terrane.policies import AssetDefaults, asset_defaults, retry_policy


class Declared(Protocol):
    """What the component of a raw table says of its asset."""

    @property
    def description(self) -> str: ...
    @property
    def fresh_hours(self) -> int | None: ...
    @property
    def retries(self) -> int: ...
    @property
    def retry_delay_s(self) -> float | None: ...


class RawAsset(AssetDefaults):
    """What `raw_asset` gives."""

    key: list[str]
    kinds: set[str]
    description: str
    metadata: dict[str, Any]


def raw_asset(table: Table, declared: Declared, source: str, metadata: Mapping[str, Any] | None = None) -> RawAsset:
    """Arguments of `dg.asset` for the table.

    Args:
        source: the kind of source, as the asset's tag says it.
        metadata: beside the table's name and columns.
    """
    shown = {"dagster/table_name": table.qualified, "dagster/column_schema": column_schema(table.columns)}
    retries = retry_policy(declared.retries, declared.retry_delay_s)
    return RawAsset(
        key=["raw", table.name],
        kinds={"python", "postgres"},
        description=declared.description,
        metadata={**shown, **(metadata or {})},
        **asset_defaults(OWNED, "ingestion", declared.fresh_hours, {"source": source}, retries),
    )
