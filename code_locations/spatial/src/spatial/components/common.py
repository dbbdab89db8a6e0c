"""What the datasets' assets have in common: their owner, the asset of the landing zone, how fresh they must be."""

from datetime import timedelta

import dagster as dg

from spatial.keys import landed

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
