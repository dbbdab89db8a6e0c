"""A raster dataset, declared in YAML: batches of the landing zone become cloud-optimised GeoTIFFs in the lake."""

from typing import Any

import dagster as dg
from pydantic import Field

from terrane_spatial.components.common import Freshness, lake_asset, landing_spec
from terrane_spatial.files.formats import RASTERS, declared
from terrane_spatial.rasters.ops import publish_op
from terrane_spatial.runs.names import LOAD
from terrane_spatial.runs.work import Dataset


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
    tags: dict[str, str] = Field(default_factory=dict)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The external asset of the landing zone, and the asset of the lake with its step."""
        dataset = Dataset(
            name=self.dataset,
            description=self.description,
            inputs=(),
            steps=(),
            outputs=(),
            formats=declared(self.formats),
        )
        convert = publish_op(dataset, self.categories)

        # The step has the name under which the sensor configures every dataset's first step.
        def compose(batches: Any) -> Any:
            return convert.alias(LOAD)(batches)

        lake = lake_asset(dataset, compose, {"gdal", "geotiff"}, self.tags, self.freshness)
        return dg.Definitions(assets=[landing_spec(self.dataset, self.tags), lake])
