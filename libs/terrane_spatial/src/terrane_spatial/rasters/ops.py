"""The one stage of a raster dataset as an op, for its files live no longer than the process that converts them."""

from __future__ import annotations

import dagster as dg

from terrane_spatial.rasters import convert
from terrane_spatial.runs import names
from terrane_spatial.runs.ops import Stage, stage_op
from terrane_spatial.runs.work import Dataset

ABOUT = "Fetches and checks the batch's rasters, makes them cloud-optimised GeoTIFFs, and publishes them."


def convert_op(dataset: Dataset, categories: bool) -> dg.OpDefinition:
    """The op that makes the batch's rasters cloud-optimised and publishes them."""
    return stage_op(
        dataset,
        Stage(names.CONVERT, ABOUT, "batches", lambda work: convert.convert_and_publish(work, categories).metadata),
    )
