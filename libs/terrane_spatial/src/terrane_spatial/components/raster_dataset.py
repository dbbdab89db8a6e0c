"""A raster dataset, declared in YAML: batches of the landing zone become cloud-optimised GeoTIFFs in the lake."""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from terrane.ownership import ownership
from terrane_spatial.components.common import (
    Freshness,
    Keep,
    Shown,
    index_asset,
    lake_asset,
    landing_spec,
    limit_mistakes,
    limits_of,
)
from terrane_spatial.components.mistakes import of_dataset, refuse
from terrane_spatial.components.scaffolding import RasterScaffolder
from terrane_spatial.files.formats import RASTERS, declared
from terrane_spatial.rasters.ops import convert_op
from terrane_spatial.runs.names import CONVERT
from terrane_spatial.runs.work import Dataset


@dg.scaffold_with(RasterScaffolder)
class RasterDataset(dg.Component, dg.Model, dg.Resolvable):
    """A dataset whose batches are rasters: each is checked, made a cloud-optimised GeoTIFF, and published.

    Every pixel stays what it was. A batch brings any number of rasters; each is published as `<name of its file>.tif`,
    with a STAC item and a preview for all of them.
    """

    dataset: str = Field(
        description="The name: of the manifest's field, of the asset data_lake/<name>, of the lake's folder."
    )
    description: str = Field(description="What is published, for people.")
    formats: list[str] = Field(
        default=list(RASTERS), description=f"Formats a batch's files may have, by content: {', '.join(RASTERS)}."
    )
    categories: bool = Field(
        default=False, description="Whether pixels are codes, which have no average: overviews take the nearest."
    )
    freshness: Freshness
    retention: Keep = Keep()
    limits: dict[str, float] = Field(
        default_factory=dict, description="Limits that are others than the environment's: docs/spatial.md lists them."
    )
    tags: dict[str, str] = Field(default_factory=dict)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets of the landing zone, of the lake with its step, and of the index, and the retention's job."""
        mistakes = {**of_dataset(self.dataset), **self.freshness.mistakes(), **self.retention.mistakes()}
        refuse(Path(context.path), self.dataset, {**mistakes, **limit_mistakes(self.limits)})
        dataset = Dataset(
            name=self.dataset,
            description=self.description,
            inputs=(),
            steps=(),
            outputs=(),
            formats=declared(self.formats),
            limits=limits_of(self.limits),
        )
        convert = convert_op(dataset, self.categories)

        def compose(batches: Any) -> Any:
            return convert.alias(CONVERT)(batches)

        owned = ownership(Path(context.project_root))
        lake = lake_asset(dataset, compose, Shown({"gdal", "geotiff"}, self.tags, owned), self.freshness)
        job, schedule = self.retention.of(dataset)
        assets = [landing_spec(self.dataset, self.tags, owned), lake, index_asset(dataset, self.tags, owned)]
        return dg.Definitions(assets=assets, jobs=[job], schedules=[schedule])
