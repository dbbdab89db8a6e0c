"""A spatial dataset, declared in YAML and SQL: batches of the landing zone become a published asset of the lake."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from spatial import steps
from spatial.keys import landed, published
from spatial.ops import CHECK, export_op, load_op, transform_op

OWNER = "team:spatial"
DOMAIN = {"domain": "spatial"}


class Preview(dg.Model, dg.Resolvable):
    """Which tables of the run's schema are drawn, in degrees."""

    polygons: str | None = None
    points: str | None = None


class Freshness(dg.Model, dg.Resolvable):
    """How old the published asset may be; or, as `reason`, why it has no such limit."""

    fail_hours: float | None = None
    warn_hours: float | None = None
    reason: str | None = None


class SpatialDataset(dg.Component, dg.Model, dg.Resolvable):
    """A dataset whose batches are loaded into PostGIS, transformed by SQL, and published into the lake.

    SQL runs in a schema of the run's own. It finds the inputs as tables with a column `geometry`, writes what it does
    to rows into `_tally (table_name, outcome, reason, rows)` with the outcomes dropped, duplicate and repaired, and
    makes a table `out_<output>` with a column `geometry` in EPSG:4326 for each output.
    """

    dataset: str = Field(
        description="The name: of the manifest's field, of the asset data_lake/<name>, of the lake's folder."
    )
    description: str = Field(description="What is published, for people.")
    inputs: list[str] = Field(description="The tables a batch must bring, one a file, named for the file.")
    sql: list[str] = Field(description="SQL files beside the YAML file, in the order they run.")
    outputs: list[str] = Field(
        description="What is published: of each an input of that name, GeoParquet from out_<name>."
    )
    row_count: str = Field(description="The output whose rows are the asset's row count.")
    preview: Preview = Preview()
    freshness: Freshness
    tags: dict[str, str] = Field(default_factory=dict)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The external asset of the landing zone, and the asset of the lake with its three steps."""
        dataset = steps.Dataset(
            name=self.dataset,
            description=self.description,
            inputs=tuple(self.inputs),
            scripts=tuple(Path(context.path) / name for name in self.sql),
            outputs=tuple(self.outputs),
            polygons=self.preview.polygons,
            points=self.preview.points,
        )
        absent = [script.name for script in dataset.scripts if not script.is_file()]
        if absent:
            raise FileNotFoundError(
                f"dataset {self.dataset} names SQL files that are not in {context.path}: {', '.join(absent)}"
            )
        return dg.Definitions(assets=[self._landing_spec(), self._asset(dataset)])

    def _landing_spec(self) -> dg.AssetSpec:
        return dg.AssetSpec(
            landed(self.dataset),
            description=f"Batches of {self.dataset} that a producer put into the landing zone and the sensor accepted.",
            group_name="ingestion",
            owners=[OWNER],
            kinds={"s3"},
            tags={**DOMAIN, **self.tags},
            metadata={"freshness": "none: its producer decides when a batch comes"},
        )

    def _asset(self, dataset: steps.Dataset) -> dg.AssetsDefinition:
        key = published(self.dataset)
        load, transform, export = load_op(dataset), transform_op(dataset, key), export_op(dataset, self.row_count)

        def compose(batches: Any) -> dict[str, Any]:
            transformed, conserved = transform.alias(steps.TRANSFORM)(load.alias(steps.LOAD)(batches))
            return {
                "result": export.alias(steps.EXPORT)(transformed),
                f"{key.to_python_identifier()}_{CHECK}": conserved,
            }

        asset = dg.graph_asset(
            key=key,
            ins={"batches": dg.AssetIn(landed(self.dataset), dagster_type=dg.Nothing)},
            description=self.description,
            group_name="transformations",
            owners=[OWNER],
            kinds={"gdal", "postgres", "parquet"},
            tags={**DOMAIN, **self.tags},
            check_specs=[
                dg.AssetCheckSpec(
                    CHECK,
                    asset=key,
                    blocking=True,
                    description="Every row of every input is published, dropped with a reason, or a duplicate.",
                )
            ],
        )(compose)
        return asset.map_asset_specs(self._complete)

    def _complete(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """The spec with its freshness, which the decorator of a graph does not take."""
        limits = self.freshness
        if limits.fail_hours is None:
            return spec.merge_attributes(metadata={"freshness": f"none: {limits.reason}"})
        warn = timedelta(hours=limits.warn_hours) if limits.warn_hours is not None else None
        policy = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=limits.fail_hours), warn_window=warn)
        return spec.replace_attributes(freshness_policy=policy)
