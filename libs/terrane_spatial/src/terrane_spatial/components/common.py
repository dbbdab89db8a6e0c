"""What the datasets' assets have in common: the two assets of each, and how fresh they must be."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.ownership import Ownership
from terrane_spatial.components.mistakes import of_freshness
from terrane_spatial.limits import VARIABLES, Limits, from_environment
from terrane_spatial.publishing import stac_index
from terrane_spatial.runs.names import batches_of, index, landed, published
from terrane_spatial.runs.retention import retention, retention_of
from terrane_spatial.runs.work import Dataset


class Freshness(dg.Model, dg.Resolvable):
    """How old the published asset may be; or, as `reason`, why it has no such limit."""

    fail_hours: float | None = None
    warn_hours: float | None = None
    reason: str | None = None

    def mistakes(self) -> dict[str, str]:
        return of_freshness(self.fail_hours, self.warn_hours, self.reason)

    def applied_to(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """The spec with its freshness, which the decorator of a graph does not take."""
        if self.fail_hours is None:
            return spec.merge_attributes(metadata={"freshness": f"none: {self.reason}"})
        warn = timedelta(hours=self.warn_hours) if self.warn_hours is not None else None
        policy = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=self.fail_hours), warn_window=warn)
        return spec.replace_attributes(freshness_policy=policy)


class Keep(dg.Model, dg.Resolvable):
    """Which published batches stay: while any of the two keeps it, and the newest always. Without any, all do."""

    batches: int | None = Field(default=None, description="How many of the newest batches, by their data's time.")
    days: float | None = Field(default=None, description="Those whose data are at most so many days old.")

    def mistakes(self) -> dict[str, str]:
        try:
            retention(self.batches, self.days)
        except ValueError as error:
            return {"retention": str(error)}
        return {}

    def of(self, dataset: Dataset) -> tuple[dg.JobDefinition, dg.ScheduleDefinition]:
        """The job that keeps the dataset to it, and its schedule."""
        return retention_of(dataset, retention(self.batches, self.days))


def limits_of(declared: dict[str, float]) -> Limits:
    """The environment's limits with those that the YAML declares. Raises ValueError for one that is none."""
    if "queued_runs" in declared:
        raise ValueError(f"queued_runs is the sensor's, which serves all datasets: set {VARIABLES}QUEUED_RUNS")
    return from_environment().changed(**declared)


def limit_mistakes(declared: dict[str, float]) -> dict[str, str]:
    try:
        limits_of(declared)
    except (TypeError, ValueError) as error:
        return {"limits": str(error)}
    return {}


def landing_spec(dataset: str, tags: dict[str, str], owned: Ownership) -> dg.AssetSpec:
    """The external asset of the dataset's batches in the landing zone."""
    return dg.AssetSpec(
        landed(dataset),
        description=f"Batches of {dataset} that a producer put into the landing zone and the sensor accepted.",
        group_name="ingestion",
        owners=owned.owners,
        kinds={"s3"},
        tags={**owned.tags, **tags},
        metadata={"freshness": "none: its producer decides when a batch comes"},
        partitions_def=batches_of(dataset),
    )


@dataclass(frozen=True)
class Shown:
    """How Dagster shows an asset: the kinds of what makes it, its tags, and whose it is."""

    kinds: Collection[str]
    tags: Mapping[str, str]
    owned: Ownership


def lake_asset(
    dataset: Dataset,
    compose: Callable[..., Any],
    shown: Shown,
    freshness: Freshness,
    checks: Sequence[dg.AssetCheckSpec] = (),
) -> dg.AssetsDefinition:
    """The asset of the lake that the composed ops make of the batches in the landing zone."""
    asset = dg.graph_asset(
        key=published(dataset.name),
        ins={"batches": dg.AssetIn(landed(dataset.name), dagster_type=dg.Nothing)},
        description=dataset.description,
        group_name="transformations",
        owners=shown.owned.owners,
        kinds=set(shown.kinds),
        tags={**shown.owned.tags, **shown.tags},
        check_specs=checks,
        partitions_def=batches_of(dataset.name),
    )(compose)
    return asset.map_asset_specs(freshness.applied_to)


def index_asset(dataset: Dataset, tags: dict[str, str], owned: Ownership) -> dg.AssetsDefinition:
    """The STAC collection and index of the dataset's batches, made beside the runs that publish."""
    # Dagster's any_deps_updated goes through all partitions at every look.
    newer: Any = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.newly_updated())
    # What is published while an index is made asks for the next; a minute gathers what comes together.
    due = newer.since(dg.AutomationCondition.newly_requested() & ~newer)
    a_minute_is_over = dg.AutomationCondition.cron_tick_passed("* * * * *")
    condition = due & a_minute_is_over & ~dg.AutomationCondition.in_progress()

    @dg.asset(
        key=index(dataset.name),
        deps=[published(dataset.name)],
        automation_condition=condition.with_label("within a minute of a publication"),
        description=f"STAC collection of {dataset.name}, and its items as stac-geoparquet, of what is published.",
        group_name="internal",
        owners=owned.owners,
        kinds={"parquet"},
        tags={**owned.tags, **tags},
        metadata={"freshness": "none: it is brought up to date within minutes of a publication"},
        retry_policy=dg.RetryPolicy(max_retries=3, delay=15, backoff=dg.Backoff.EXPONENTIAL),
    )
    def stac(store: ObjectStoreResource) -> dg.MaterializeResult:
        items = stac_index.refresh(store.bucket(DATA_LAKE), dataset.name, dataset.description)
        return dg.MaterializeResult(metadata={"dagster/row_count": items})

    return stac
