"""An asset that was asked for in vain to the bound has a red check until somebody makes it."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from terrane import policies
from terrane.automation.updates import why_it_failed, with_update_checks
from terrane_dev.automation import Status, World

pytestmark = pytest.mark.unit

MADE = dg.AssetKey("made")
CHECK = "made:updates_arrive"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def definitions() -> dg.Definitions:
    @dg.asset
    def source() -> None: ...

    @dg.asset(deps=[source], automation_condition=policies.when_new())
    def made() -> None: ...

    return with_update_checks(dg.Definitions(assets=[source, made]))


def evaluated(world: World) -> bool:
    """Executes the check as its run would, and returns whether it passed."""
    with world.frozen():
        job = world.definitions.resolve_implicit_global_asset_job_def()
        check = dg.AssetCheckKey(MADE, "updates_arrive")
        subset = job.get_subset(asset_selection=set(), asset_check_selection={check})
        result = subset.execute_in_process(instance=world.instance, asset_selection=[])
    (found,) = result.get_asset_check_evaluations()
    return found.passed


def test_the_check_is_asked_for_at_the_bound_and_red_until_the_asset_is_made(instance: dg.DagsterInstance) -> None:
    world = World(definitions(), instance)
    world.tick()
    world.made("source")
    world.tick()
    world.end_all(Status.FAILURE)
    asked = world.ticks(minutes=36 * 60, every_s=3600)
    assert [CHECK in each for each in asked] == [False] * 35 + [True]
    assert not evaluated(world)
    assert world.ticks(minutes=120, every_s=3600) == [set()] * 2
    world.made("source")
    assert world.tick() == {"made"}
    world.end_all(Status.SUCCESS)
    assert why_it_failed(instance, MADE) is None
    assert evaluated(world)


@pytest.mark.parametrize(("status", "word"), [(Status.FAILURE, "failed"), (Status.CANCELED, "was cancelled")])
def test_the_reason_is_how_the_newest_run_ended(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, word: str
) -> None:
    world = World(definitions(), instance)
    assert why_it_failed(instance, MADE) is None
    run = world.launch("made")
    assert why_it_failed(instance, MADE) is None
    world.end(run, status)
    assert f"its newest run {run.id} {word}" in (why_it_failed(instance, MADE) or "")
    world.succeed(world.launch("made"))
    assert why_it_failed(instance, MADE) is None
