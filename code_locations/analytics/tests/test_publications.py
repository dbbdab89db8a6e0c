"""Places are read as soon as any batch of them is published, whatever becomes of other batches.

The location spatial has a partition a batch, of which some fail for ever; here its asset stands for it, in its form.
"""

from __future__ import annotations

import dagster as dg
import pytest
from location import loaded

pytestmark = pytest.mark.unit

PLACES = dg.AssetKey(["raw", "places"])
LAKE = dg.AssetKey(["data_lake", "places"])
BATCHES = dg.DynamicPartitionsDefinition(name="places_batches")


@dg.asset(
    key=LAKE,
    partitions_def=BATCHES,
    check_specs=[dg.AssetCheckSpec("conservation", asset=LAKE, blocking=True)],
)
def of_the_lake() -> dg.MaterializeResult:
    """What the location spatial publishes."""
    return dg.MaterializeResult()


class World:
    """Dagster, as its daemon evaluates the conditions of the assets."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        resources = {name: dg.ResourceDefinition.none_resource() for name in ("object_store", "warehouse")}
        places = next(a for a in loaded().assets or () if isinstance(a, dg.AssetsDefinition) and PLACES in a.keys)
        self.defs = dg.Definitions(assets=[of_the_lake, places], resources=resources)
        self.cursor = None
        self.asked()

    def asked(self) -> bool:
        """Whether the places are asked for at a look; what is asked for is made at once."""
        result = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        asked = bool(result.get_num_requested(PLACES))
        if asked:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(PLACES))
        return asked

    def landed(self, *batch_ids: str) -> None:
        self.instance.add_dynamic_partitions(str(BATCHES.name), batch_ids)

    def checked(self, passed: bool) -> None:
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=LAKE, check_name="conservation", passed=passed)
        )

    def published(self, batch_id: str) -> None:
        self.instance.report_runless_asset_event(dg.AssetMaterialization(LAKE, partition=batch_id))
        self.checked(passed=True)


@pytest.fixture
def world() -> World:
    return World(dg.DagsterInstance.ephemeral())


def test_a_batch_that_is_not_published_yet_asks_for_nothing(world: World) -> None:
    world.landed("b-1")
    assert not world.asked()


def test_every_publication_asks_once_also_of_a_batch_that_came_before(world: World) -> None:
    world.landed("b-1", "b-2")
    world.published("b-2")
    assert world.asked()
    assert not world.asked()
    world.published("b-1")
    assert world.asked()
    assert not world.asked()


def test_a_batch_that_fails_for_ever_stops_nothing(world: World) -> None:
    world.landed("failed-1")
    world.landed("good-1")
    world.published("good-1")
    assert world.asked()
    world.landed("failed-2", "good-2")
    world.checked(passed=False)
    assert not world.asked()
    world.published("good-2")
    assert world.asked()


def test_a_check_that_fails_just_after_a_publication_keeps_it_from_nobody(world: World) -> None:
    """It is of another batch, whose rows are not conserved and which is not published."""
    world.landed("good", "failed")
    world.published("good")
    world.checked(passed=False)
    assert world.asked()
