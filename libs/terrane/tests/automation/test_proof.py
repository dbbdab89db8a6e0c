"""A reader refuses what has not passed its blocking checks, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from terrane.automation.proof import refuse_unproved, unproved
from terrane.errors import Permanent
from terrane_dev.automation import Status, World

pytestmark = pytest.mark.unit
GOLD = dg.AssetKey("gold")


@pytest.fixture
def world() -> Iterator[World]:
    @dg.asset
    def gold() -> None: ...

    @dg.asset_check(asset="gold", blocking=True)
    def is_good() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    with dg.DagsterInstance.ephemeral() as instance:
        yield World([gold, is_good], instance)


def test_what_was_never_made_or_made_by_nobody_here_is_taken(world: World) -> None:
    assert unproved(world.instance, "reader", GOLD) == []
    world.made("gold")
    assert unproved(world.instance, "reader", GOLD) == []


def test_what_failed_is_refused_until_new_content_passes(world: World) -> None:
    world.succeed(world.launch("gold"))
    refuse_unproved(world.instance, "reader", [GOLD])
    world.succeed(world.launch("gold"), checks={"gold": False})
    with pytest.raises(Permanent, match=r"not passed its blocking checks: gold \(is_good\)"):
        refuse_unproved(world.instance, "reader", [GOLD])
    world.end(world.launch("gold"), Status.FAILURE)
    assert unproved(world.instance, "reader", GOLD) == ["is_good"]
    world.succeed(world.launch("gold"))
    refuse_unproved(world.instance, "reader", [GOLD])


def test_what_its_run_did_not_come_to_check_is_refused_and_not_by_that_run_itself(world: World) -> None:
    run = world.launch("gold")
    world.made("gold", run=run)
    assert unproved(world.instance, run.id, GOLD) == []
    world.end(run, Status.FAILURE)
    assert unproved(world.instance, "reader", GOLD) == ["is_good, not evaluated"]
    world.check("gold", passed=True)
    assert unproved(world.instance, "reader", GOLD) == []


def test_an_attempt_that_failed_leaves_what_was_proved(world: World) -> None:
    world.succeed(world.launch("gold"))
    world.end(world.launch("gold"), Status.FAILURE)
    assert unproved(world.instance, "reader", GOLD) == []


def test_a_check_that_fails_later_on_the_same_content_counts(world: World) -> None:
    world.succeed(world.launch("gold"))
    world.check("gold", passed=False)
    assert unproved(world.instance, "reader", GOLD) == ["is_good"]


def test_what_real_runs_write_is_read(world: World) -> None:
    result = world.definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=world.instance)
    assert result.success
    assert unproved(world.instance, "reader", GOLD) == []

    @dg.asset(name="gold", check_specs=[dg.AssetCheckSpec("bad", asset="gold", blocking=True)])
    def failing() -> dg.MaterializeResult:
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="bad", passed=False)])

    dg.materialize([failing], instance=world.instance, raise_on_error=False)
    assert unproved(world.instance, "reader", GOLD) == ["bad"]
