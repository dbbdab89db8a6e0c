"""Names that the location's definitions share: of assets, of tags, and of where run config goes."""

from __future__ import annotations

from typing import Any

import dagster as dg

from terrane_spatial.steps import LOAD

ZONE, LAKE = "landing_zone", "data_lake"
BATCH_TAG = "terrane/batch_id"


def landed(dataset: str) -> dg.AssetKey:
    return dg.AssetKey([ZONE, dataset])


def published(dataset: str) -> dg.AssetKey:
    return dg.AssetKey([LAKE, dataset])


def run_config(dataset: str, batch_id: str) -> dict[str, Any]:
    """The run config that names the batch."""
    graph = published(dataset).to_python_identifier()
    return {"ops": {graph: {"ops": {LOAD: {"config": {"batch_id": batch_id}}}}}}
