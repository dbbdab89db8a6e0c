"""A stage is done when its asset is newer than what it is made of, and nobody is at it."""

from __future__ import annotations

import pytest

from terrane_cli.dagster_api import AssetState
from terrane_cli.demo.stages import SERVED, STAGES, Stage, State, stage_state, stages_of

pytestmark = pytest.mark.unit

GOLD = Stage("build gold", "analytics", "gold/t", after=("raw/a", "raw/b"))


def _assets(gold: AssetState | None, a: float | None = 1.0, b: float | None = 2.0) -> dict[str, AssetState]:
    assets = {"raw/a": AssetState("raw/a", materialized_at=a), "raw/b": AssetState("raw/b", materialized_at=b)}
    return assets | ({"gold/t": gold} if gold else {})


@pytest.mark.parametrize(
    ("gold", "state"),
    [
        (None, State.WAITING),
        (AssetState("gold/t"), State.WAITING),
        (AssetState("gold/t", active=True, status="QUEUED"), State.QUEUED),
        (AssetState("gold/t", active=True, status="STARTED", materialized_at=3.0), State.RUNNING),
        (AssetState("gold/t", materialized_at=3.0, status="SUCCESS"), State.DONE),
        (AssetState("gold/t", materialized_at=1.5, status="SUCCESS"), State.WAITING),
        (AssetState("gold/t", materialized_at=1.5, status="FAILURE"), State.FAILED),
        (AssetState("gold/t", materialized_at=3.0, status="FAILURE"), State.DONE),
        (AssetState("gold/t", status="CANCELED"), State.FAILED),
        (AssetState("gold/t", materialized_at=3.0, status="SUCCESS", complete=False), State.WAITING),
    ],
)
def test_a_stage_follows_its_asset(gold: AssetState | None, state: State) -> None:
    assert stage_state(GOLD, _assets(gold)) == state


def test_a_stage_waits_for_what_was_never_made() -> None:
    assert stage_state(GOLD, _assets(AssetState("gold/t", materialized_at=3.0), b=None)) == State.WAITING


@pytest.mark.parametrize(
    ("locations", "last"),
    [
        ({"spatial", "analytics", "features", "atlas"}, SERVED),
        ({"spatial", "analytics"}, "exports/user_journal_features"),
        ({"analytics", "features"}, "raw/game_types"),
        ({"atlas"}, None),
    ],
)
def test_a_location_that_was_removed_takes_what_is_made_of_its_own_with_it(
    locations: set[str], last: str | None
) -> None:
    told = stages_of(locations)
    assert [stage.asset for stage in told][-1:] == ([last] if last else [])
    assert {stage.location for stage in told} <= locations


def test_stages_follow_one_another() -> None:
    told: set[str] = set()
    for stage in STAGES:
        assert set(stage.after) <= told
        told.add(stage.asset)
