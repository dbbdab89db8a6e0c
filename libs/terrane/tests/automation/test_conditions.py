"""Each row of the table in docs/automation.md, in the smallest world that has it."""

from __future__ import annotations

import dagster as dg
import pytest
from libs.terrane.tests.automation.conditions import asset, blocking, only

from terrane import policies
from terrane_dev.automation import START, Status, World

pytestmark = pytest.mark.unit


def pair(condition: object = None) -> list[object]:
    return [asset("source"), asset("made", "source", condition=condition or policies.when_new())]


@pytest.fixture
def world(instance: dg.DagsterInstance) -> World:
    """A source, and what is made from it; both there and of today."""
    world = World(pair(), instance)
    world.tick()
    world.made("source")
    assert world.tick() == {"made"}
    world.end_all(Status.SUCCESS)
    assert world.tick() == set()
    return world


@pytest.mark.parametrize(
    "condition",
    [policies.until_there(), policies.when_new(), policies.when_any_is_new(), policies.when_sources_settle([])],
)
def test_no_two_parts_of_a_condition_share_the_state_that_dagster_keeps(condition: dg.AutomationCondition) -> None:
    found: dict[str, set[str]] = {}

    def walk(node: dg.AutomationCondition) -> None:
        if node.name in ("SINCE", "NEWLY_TRUE"):
            identity = node.get_node_unique_id(parent_unique_id=None, index=None, target_key=None)
            found.setdefault(identity, set()).add(repr(node))
        for child in node.children:
            walk(child)

    walk(condition)
    assert len(found) >= 6
    assert {identity: same for identity, same in found.items() if len(same) > 1} == {}


def test_what_is_new_upstream_is_asked_for_once(world: World) -> None:
    world.made("source")
    assert [world.tick() for _ in range(3)] == [{"made"}, set(), set()]
    world.end_all(Status.SUCCESS)
    assert [world.tick() for _ in range(3)] == [set()] * 3


@pytest.mark.parametrize("status", [Status.FAILURE, Status.CANCELED])
def test_what_failed_or_was_cancelled_is_asked_for_again_until_it_succeeds(
    world: World, status: dg.DagsterRunStatus
) -> None:
    world.made("source")
    assert world.tick() == {"made"}
    world.end_all(status)
    asked = [index for index, found in enumerate(world.ticks(minutes=180)) if found]
    # 12:10 to 13:00 every ten minutes, then 14:00 and 15:00.
    assert asked == [9, 19, 29, 39, 49, 59, 119, 179]
    world.wait(hours=1)
    assert world.tick() == {"made"}
    world.end_all(Status.SUCCESS)
    assert world.ticks(minutes=120, every_s=600) == [set()] * 12


def test_after_the_second_midnight_nothing_is_asked_for_until_something_is_new(world: World) -> None:
    world.made("source")
    world.tick()
    world.end_all(Status.FAILURE)
    asked = world.ticks(minutes=37 * 60, every_s=600)
    assert asked[35 * 6 - 1] == {"made"}
    assert asked[36 * 6 :] == [set()] * 6
    world.made("source")
    assert world.tick() == {"made"}
    world.end_all(Status.SUCCESS)
    assert world.tick() == set()


def test_a_run_that_was_never_launched_is_asked_for_again(world: World) -> None:
    world.made("source")
    assert world.tick(launch=False) == {"made"}
    found = world.ticks(minutes=11)
    assert found[8:10] == [set(), {"made"}] or found[9] == {"made"}


def test_what_is_new_while_the_run_is_under_way_is_asked_for_after_it(world: World) -> None:
    world.made("source")
    assert world.tick() == {"made"}
    world.wait(seconds=1)
    world.made("source")
    assert world.tick() == set()
    world.made("source")
    assert world.tick() == set()
    world.succeed(only(world))
    assert world.tick() == {"made"}
    world.end_all(Status.SUCCESS)
    assert world.tick() == set()


def test_what_is_new_between_the_request_and_the_next_tick_alone_is_asked_for(world: World) -> None:
    world.made("source")
    assert world.tick() == {"made"}
    world.wait(seconds=1)
    world.made("source")
    assert world.tick() == set()
    world.succeed(only(world))
    assert world.tick() == {"made"}


def test_what_was_updated_while_the_daemon_was_down_is_asked_for(world: World) -> None:
    world.made("source")
    world.wait(hours=50)
    assert world.tick() == {"made"}


@pytest.mark.parametrize(("first", "second", "found"), [("source", "made", set()), ("made", "source", {"made"})])
def test_what_is_reported_as_made_after_what_is_upstream_is_not_asked_for(
    world: World, first: str, second: str, found: set[str]
) -> None:
    world.made("source")
    assert world.tick(launch=False) == {"made"}
    world.wait(seconds=1)
    world.made(first)
    world.wait(seconds=1)
    world.made(second)
    assert world.tick() == found
    world.end_all(Status.SUCCESS)
    assert [world.tick() for _ in range(3)] == [set()] * 3
    world.made("source")
    assert world.tick() == {"made"}


def test_a_run_that_may_have_read_before_what_is_upstream_was_made_is_not_enough(world: World) -> None:
    world.made("source")
    assert world.tick() == {"made"}
    world.wait(seconds=1)
    world.made("source")
    world.wait(seconds=1)
    world.succeed(only(world))
    assert world.tick() == {"made"}


def test_a_run_by_hand_that_failed_is_asked_for_again(world: World) -> None:
    world.end(world.launch("made"), Status.FAILURE)
    assert {"made"} in world.ticks(minutes=10)


def test_a_run_of_both_that_ended_between_them_is_asked_for_again(world: World) -> None:
    run = world.launch("source", "made")
    world.make_next(run)
    assert world.tick() == set()
    world.end(run, Status.CANCELED)
    assert world.ticks(minutes=10).count({"made"}) == 1


def test_a_run_of_both_asks_for_nothing_more(world: World) -> None:
    run = world.launch("source", "made")
    world.make_next(run)
    assert world.tick() == set()
    world.succeed(run)
    assert world.tick() == set()


def test_nothing_is_made_of_what_is_missing_or_being_made(instance: dg.DagsterInstance) -> None:
    world = World(pair(), instance)
    assert [world.tick(), world.tick()] == [set(), set()]
    run = world.launch("source")
    assert world.tick() == set()
    world.succeed(run)
    assert world.tick() == {"made"}


def test_what_was_there_before_the_condition_is_asked_for_when_missing(instance: dg.DagsterInstance) -> None:
    world = World(pair(), instance)
    world.made("source")
    assert world.tick() == {"made"}


def gated(instance: dg.DagsterInstance) -> World:
    world = World([*pair(), blocking("source")], instance)
    world.tick()
    return world


def test_what_failed_its_blocking_check_goes_no_further_until_new_content_passes(instance: dg.DagsterInstance) -> None:
    world = gated(instance)
    world.succeed(world.launch("source"), checks={"source": False})
    assert world.ticks(minutes=120) == [set()] * 120
    world.succeed(world.launch("source"))
    assert world.tick() == {"made"}


def test_what_was_not_yet_checked_goes_no_further(instance: dg.DagsterInstance) -> None:
    world = gated(instance)
    run = world.launch("source")
    world.made("source", run=run)
    assert [world.tick(), world.tick()] == [set(), set()]
    world.end(run, Status.CANCELED)
    assert world.ticks(minutes=20) == [set()] * 20
    world.check("source", passed=True)
    assert world.tick() == {"made"}


def test_a_failed_attempt_upstream_does_not_hold_what_was_proved_before(instance: dg.DagsterInstance) -> None:
    sources = [asset("source"), asset("other"), blocking("source")]
    world = World([*sources, asset("made", "source", "other", condition=policies.when_new())], instance)
    world.tick()
    world.succeed(world.launch("source"))
    world.tick()
    world.end(world.launch("source"), Status.FAILURE)
    world.made("other")
    assert world.tick() == {"made"}


def test_a_check_is_asked_for_when_its_run_did_not_come_to_it(instance: dg.DagsterInstance) -> None:
    @dg.asset_check(asset="a", name="a_is_good", blocking=True, automation_condition=policies.when_unproved())
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    world = World([asset("a"), check], instance)
    assert world.ticks(minutes=11) == [set()] * 11
    world.made("a")
    assert world.ticks(minutes=20).count({"a:a_is_good"}) == 3
    world.check("a", passed=False)
    assert world.ticks(minutes=20) == [set()] * 20


def test_an_asset_whose_run_did_not_come_to_its_checks_is_asked_for_again(instance: dg.DagsterInstance) -> None:
    world = World([asset("source"), asset("made", "source", condition=policies.when_new()), blocking("made")], instance)
    world.tick()
    world.made("source")
    world.tick()
    world.made("made", run=only(world))
    world.end_all(Status.FAILURE)
    assert world.ticks(minutes=10).count({"made"}) == 1


def test_a_chain_is_one_run(instance: dg.DagsterInstance) -> None:
    new = policies.when_new()
    world = World([asset("a"), asset("b", "a", condition=new), asset("c", "b", condition=new)], instance)
    world.tick()
    world.made("a")
    assert world.tick() == {"b", "c"}
    run = only(world)
    world.make_next(run)
    assert world.tick() == set()
    world.succeed(run)
    assert [world.tick(), world.tick()] == [set(), set()]


DAYS = dg.DailyPartitionsDefinition("2026-02-25", timezone="UTC")


def test_a_partition_that_failed_is_asked_for_again_and_no_other(instance: dg.DagsterInstance) -> None:
    new = policies.when_new()
    world = World(
        [asset("a", partitions_def=DAYS), asset("b", "a", condition=new, partitions_def=DAYS)], instance, START
    )
    world.tick()
    world.made("a", partitions=["2026-02-26", "2026-02-27", "2026-03-01"])
    assert world.tick() == {"b@2026-02-26", "b@2026-02-27", "b@2026-03-01"}
    for run in list(world.runs):
        world.succeed(run) if run.partition != "2026-02-27" else world.end(run, Status.FAILURE)
    found = world.ticks(minutes=10)
    assert [each for each in found if each] == [{"b@2026-02-27"}]


def test_what_came_after_a_run_was_asked_for_is_kept_when_runs_of_several_partitions_end_together(
    instance: dg.DagsterInstance,
) -> None:
    """Dagster knows of the newest materialisation alone by which run it is."""
    first, last = "2026-02-26", "2026-02-27"
    new = policies.when_new()
    world = World(
        [asset("a", partitions_def=DAYS), asset("b", "a", condition=new, partitions_def=DAYS)], instance, START
    )
    world.tick()
    world.made("a", partitions=[first, last])
    assert {f"b@{first}", f"b@{last}"} <= world.tick()
    world.made("a", partitions=[first])
    assert world.tick() == set()
    for run in sorted(world.runs, key=lambda run: str(run.partition)):
        world.succeed(run)
    assert world.tick() == {f"b@{first}"}


def test_a_missing_partition_upstream_does_not_hold_what_takes_all_of_them(instance: dg.DagsterInstance) -> None:
    world = World([asset("a", partitions_def=DAYS), asset("b", "a", condition=policies.when_new())], instance)
    world.tick()
    world.made("a", partitions=["2026-02-26", "2026-03-01"])
    assert world.tick() == {"b"}


def test_any_new_partition_asks_for_what_takes_the_newest_while_others_are_made(instance: dg.DagsterInstance) -> None:
    batches = dg.DynamicPartitionsDefinition(name="batches")
    world = World(
        [asset("batch", partitions_def=batches), asset("table", "batch", condition=policies.when_any_is_new())],
        instance,
    )
    world.instance.add_dynamic_partitions("batches", ["one", "two", "three"])
    assert world.tick() == set()
    world.made("batch", partitions=["one"])
    world.launch("batch", partition="two")
    assert world.tick() == {"table"}
    world.succeed(world.runs[1])
    assert world.tick() == set()
    world.succeed(only(world))
    assert world.tick() == {"table"}


def test_a_partition_is_asked_for_when_its_day_is_over(instance: dg.DagsterInstance) -> None:
    world = World([asset("a", partitions_def=DAYS, condition=policies.when_new())], instance)
    assert world.tick() == {"a@2026-03-01"}
    world.end_all(Status.SUCCESS)
    assert world.tick() == set()
    world.wait(days=3)
    assert world.tick() == {"a@2026-03-02", "a@2026-03-03", "a@2026-03-04"}


def test_until_there_is_asked_for_until_it_is(instance: dg.DagsterInstance) -> None:
    world = World([asset("a", condition=policies.until_there())], instance)
    assert world.tick() == {"a"}
    world.end_all(Status.FAILURE)
    assert world.ticks(minutes=20).count({"a"}) == 2
    world.wait(minutes=10)
    assert world.tick() == {"a"}
    world.end_all(Status.SUCCESS)
    assert world.ticks(minutes=60) == [set()] * 60
