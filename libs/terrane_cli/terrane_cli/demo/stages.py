"""The demo's stages: which assets each of them waits for, and how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from terrane_cli.dagster_api import AssetState

FAILED_RUN = {"FAILURE", "CANCELED"}


class State(Enum):
    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Stage:
    """Part of the demo: an asset, and the stages that it must be newer than."""

    title: str
    location: str
    asset: str
    after: tuple[str, ...] = ()


DELIVERED, SERVED = "data_lake/places", "online/user_journal_features"
STAGES = (
    Stage("load, transform, publish a batch", "spatial", DELIVERED),
    Stage("take users from the API", "analytics", "raw/users"),
    Stage("take journal entries from the API", "analytics", "raw/journal_entries"),
    Stage("take game types from the API", "analytics", "raw/game_types"),
    Stage("take places from the lake", "analytics", "raw/places", after=(DELIVERED,)),
    Stage(
        "build gold with dbt",
        "analytics",
        "gold/user_journal_features",
        after=("raw/users", "raw/journal_entries", "raw/game_types", "raw/places"),
    ),
    Stage(
        "export gold to the lake",
        "analytics",
        "exports/user_journal_features",
        after=("gold/user_journal_features",),
    ),
    Stage("apply feature definitions", "features", "feast/registry", after=("gold/user_journal_features",)),
    Stage(
        "materialise into Redis",
        "features",
        SERVED,
        after=("gold/user_journal_features", "feast/registry"),
    ),
)


def stages_of(locations: Iterable[str]) -> list[Stage]:
    """The stages that these locations tell: one that was removed takes its own with it, and what is made of those."""
    locations, told = set(locations), dict[str, Stage]()
    for stage in STAGES:
        if stage.location in locations and told.keys() >= set(stage.after):
            told[stage.asset] = stage
    return list(told.values())


def stage_state(stage: Stage, assets: Mapping[str, AssetState]) -> State:
    """How far a stage is. It is done when its asset is there, newer than what it is made of, and nobody is at it."""
    asset = assets.get(stage.asset)
    if asset is None:
        return State.WAITING
    if asset.active:
        return State.RUNNING if asset.status in {"STARTED", "STARTING", "CANCELING"} else State.QUEUED
    if asset.status in FAILED_RUN and not _is_fresh(asset, stage, assets):
        return State.FAILED
    return State.DONE if _is_fresh(asset, stage, assets) else State.WAITING


def _is_fresh(asset: AssetState, stage: Stage, assets: Mapping[str, AssetState]) -> bool:
    if asset.materialized_at is None or not asset.complete:
        return False
    made = [assets[key].materialized_at if key in assets else None for key in stage.after]
    return all(when is not None and when <= asset.materialized_at for when in made)
