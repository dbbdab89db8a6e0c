"""What reads the sources of a dbt project is asked for once they have settled."""

from __future__ import annotations

import dagster as dg
import pytest
from libs.terrane.tests.automation.conditions import asset, blocking, only

from terrane import policies
from terrane_dev.automation import World

pytestmark = pytest.mark.unit


def project(*more: object) -> list[object]:
    sources = [dg.AssetKey("x"), dg.AssetKey("y")]
    condition = policies.when_sources_settle(sources)
    after = policies.when_sources_settle(sources, reads_them=False)
    return [
        asset("x", condition=policies.until_there()),
        asset("y"),
        asset("of_x", "x", condition=condition),
        asset("of_y", "y", condition=condition),
        asset("of_both", "of_x", "of_y", condition=after),
        *more,
    ]


def test_a_project_is_built_once_when_its_sources_have_settled(instance: dg.DagsterInstance) -> None:
    world = World(project(), instance)
    run = world.launch("y")
    assert world.tick() == {"x"}
    world.succeed(world.runs[1])
    assert world.tick() == set()
    world.succeed(run)
    assert world.tick() == {"of_x", "of_y", "of_both"}


def test_a_source_that_is_missing_holds_only_what_reads_it(instance: dg.DagsterInstance) -> None:
    world = World(project(), instance)
    world.tick()
    world.succeed(only(world))
    found = world.ticks(minutes=10)
    assert found[:9] == [set()] * 9
    assert found[9] == {"of_x"}


def test_a_source_that_nobody_makes_is_not_waited_for(instance: dg.DagsterInstance) -> None:
    condition = policies.when_sources_settle([dg.AssetKey("foreign")])
    world = World([asset("reads", "foreign", condition=condition)], instance)
    assert {"reads"} in world.ticks(minutes=11)


def test_a_source_that_failed_its_blocking_check_stops_the_project(instance: dg.DagsterInstance) -> None:
    world = World(project(blocking("y")), instance)
    world.succeed(world.launch("y"), checks={"y": False})
    world.tick()
    world.succeed(only(world))
    assert world.ticks(minutes=20) == [set()] * 20


def test_a_check_that_the_projects_own_run_evaluates_is_not_waited_for(instance: dg.DagsterInstance) -> None:
    check = dg.AssetCheckKey(dg.AssetKey("y"), "y_is_good")
    condition = policies.when_sources_settle([dg.AssetKey("y")], own_checks=[check])
    world = World([asset("y"), blocking("y"), asset("of_y", "y", condition=condition)], instance)
    world.tick()
    world.made("y")
    assert world.tick() == {"of_y"}
