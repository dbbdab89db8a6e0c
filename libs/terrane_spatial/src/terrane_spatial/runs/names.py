"""Names that the location's definitions share: of assets, of tags, and of where run config goes."""

from __future__ import annotations

from typing import Any

import dagster as dg

# The stages of a run, and the one of a run on rasters.
LOAD, TRANSFORM, EXPORT, CONVERT = "load", "transform", "export", "convert"
ZONE, LAKE = "landing_zone", "data_lake"
BATCH_TAG, DATASET_TAG = "terrane/batch_id", "terrane/dataset"


def landed(dataset: str) -> dg.AssetKey:
    return dg.AssetKey([ZONE, dataset])


def published(dataset: str) -> dg.AssetKey:
    return dg.AssetKey([LAKE, dataset])


def run_config(dataset: str, batch_id: str) -> dict[str, Any]:
    """The run config that names the batch."""
    graph = published(dataset).to_python_identifier()
    return {"ops": {graph: {"ops": {LOAD: {"config": {"batch_id": batch_id}}}}}}
