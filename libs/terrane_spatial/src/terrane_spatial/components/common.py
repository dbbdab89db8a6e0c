"""What the datasets' assets have in common: their owner, the two assets of each, how fresh they must be."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from terrane_spatial.runs.names import landed, published
from terrane_spatial.runs.work import Dataset

OWNER = "team:spatial"
DOMAIN = {"domain": "spatial"}


class Freshness(dg.Model, dg.Resolvable):
    """How old the published asset may be; or, as `reason`, why it has no such limit."""

    fail_hours: float | None = None
    warn_hours: float | None = None
    reason: str | None = None

    def applied_to(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """The spec with its freshness, which the decorator of a graph does not take."""
        if self.fail_hours is None:
            return spec.merge_attributes(metadata={"freshness": f"none: {self.reason}"})
        warn = timedelta(hours=self.warn_hours) if self.warn_hours is not None else None
        policy = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=self.fail_hours), warn_window=warn)
        return spec.replace_attributes(freshness_policy=policy)


def landing_spec(dataset: str, tags: dict[str, str]) -> dg.AssetSpec:
    """The external asset of the dataset's batches in the landing zone."""
    return dg.AssetSpec(
        landed(dataset),
        description=f"Batches of {dataset} that a producer put into the landing zone and the sensor accepted.",
        group_name="ingestion",
        owners=[OWNER],
        kinds={"s3"},
        tags={**DOMAIN, **tags},
        metadata={"freshness": "none: its producer decides when a batch comes"},
    )


def lake_asset(
    dataset: Dataset,
    compose: Callable[..., Any],
    kinds: set[str],
    tags: dict[str, str],
    freshness: Freshness,
    checks: Sequence[dg.AssetCheckSpec] = (),
) -> dg.AssetsDefinition:
    """The asset of the lake that the composed ops make of the batches in the landing zone."""
    asset = dg.graph_asset(
        key=published(dataset.name),
        ins={"batches": dg.AssetIn(landed(dataset.name), dagster_type=dg.Nothing)},
        description=dataset.description,
        group_name="transformations",
        owners=[OWNER],
        kinds=kinds,
        tags={**DOMAIN, **tags},
        check_specs=checks,
    )(compose)
    return asset.map_asset_specs(freshness.applied_to)
