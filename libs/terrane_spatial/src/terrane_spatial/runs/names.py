"""Names that the location's definitions share: of assets, their partitions, stages and tags."""

from __future__ import annotations

import dagster as dg

# The stages of a run, and the one of a run on rasters.
LOAD, TRANSFORM, EXPORT, CONVERT = "load", "transform", "export", "convert"
ZONE, LAKE, STAC = "landing_zone", "data_lake", "stac"
# What Dagster tags a partition's run with, also when it is re-executed or launched by a backfill.
BATCH_TAG = "dagster/partition"
DATASET_TAG = "terrane/dataset"


def landed(dataset: str) -> dg.AssetKey:
    return dg.AssetKey([ZONE, dataset])


def published(dataset: str) -> dg.AssetKey:
    return dg.AssetKey([LAKE, dataset])


def index(dataset: str) -> dg.AssetKey:
    return dg.AssetKey([STAC, dataset])


def batches_of(dataset: str) -> dg.DynamicPartitionsDefinition:
    """The batches of a dataset, each a partition of its assets whose key is the batch_id."""
    return dg.DynamicPartitionsDefinition(name=f"{dataset}_batches")
