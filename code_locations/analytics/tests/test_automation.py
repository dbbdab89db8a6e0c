"""What is asked for by itself, tick by tick, with the conditions as they are declared and nothing executed."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from location import loaded

from analytics import partitions

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
RESOURCES = ("source_api", "warehouse", "object_store")


class Clock:
    """An instance, and ticks of the automation sensor on it."""

    def __init__(self, instance):
        self.instance, self.cursor, self.time = instance, None, NOW
        self.definitions = dg.Definitions.merge(
            loaded(),
            dg.Definitions(resources={name: dg.ResourceDefinition.none_resource() for name in RESOURCES}),
        )

    def tick(self, minutes=0.5):
        """The keys asked for."""
        self.time += timedelta(minutes=minutes)
        result = dg.evaluate_automation_conditions(
            defs=self.definitions, instance=self.instance, cursor=self.cursor, evaluation_time=self.time
        )
        self.cursor = result.cursor
        return {r.key.to_user_string() for r in result.results if not r.true_subset.is_empty}

    def made(self, *keys, days=()):
        for key in keys:
            for day in days or [None]:
                asset = dg.AssetKey.from_user_string(key)
                self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=day))


@pytest.fixture
def clock():
    with dg.DagsterInstance.ephemeral() as instance:
        yield Clock(instance)


@pytest.fixture
def days():
    return partitions.daily().get_partition_keys(current_time=NOW)


def chain():
    """Everything from staging to the export."""
    keys = {key.to_user_string() for a in loaded().assets or () if isinstance(a, dg.AssetsDefinition) for key in a.keys}
    return {key for key in keys if not key.startswith("raw/")}


def test_game_types_are_asked_for_on_the_first_look(clock):
    assert clock.tick() >= {"raw/game_types"}


def test_what_stays_missing_is_asked_for_every_ten_minutes_and_not_more(clock):
    asked = ["raw/game_types" in clock.tick(minutes=2) for _ in range(16)]
    assert asked.count(True) == 4
    assert asked[0]


def test_places_are_asked_for_when_the_lake_has_new_ones(clock):
    clock.tick()
    clock.made("raw/game_types")
    assert clock.tick() == set()
    clock.made("data_lake/places")
    assert clock.tick() == {"raw/places"}
    clock.made("raw/places")
    assert clock.tick() == set()
    clock.made("data_lake/places")
    assert clock.tick() == {"raw/places"}


def test_places_that_were_in_the_lake_before_the_location_are_asked_for(clock):
    clock.made("data_lake/places")
    assert "raw/places" in clock.tick()


def test_dbt_waits_for_the_last_raw_table_and_then_runs_once(clock, days):
    clock.tick()
    for keys in (["data_lake/places", "raw/game_types"], ["raw/places"], ["raw/users"]):
        clock.made(*keys, days=days if keys == ["raw/users"] else ())
        assert clock.tick().isdisjoint(chain())
    clock.made("raw/journal_entries", days=days[:-1])
    assert clock.tick().isdisjoint(chain())
    clock.made("raw/journal_entries", days=days[-1:])
    assert clock.tick() == chain()
    clock.made(*chain())
    assert [clock.tick(), clock.tick(), clock.tick()] == [set(), set(), set()]


def test_a_new_day_asks_for_dbt_once_both_its_tables_are_there(clock, days):
    clock.made("data_lake/places", "raw/game_types", "raw/places", *chain())
    clock.made("raw/users", "raw/journal_entries", days=days)
    clock.tick()
    new = days[-1][:-1] + str(int(days[-1][-1]) + 1)
    clock.tick(minutes=24 * 60)
    clock.made("raw/users", days=[new])
    assert clock.tick().isdisjoint(chain())
    clock.made("raw/journal_entries", days=[new])
    assert clock.tick() == chain() - {"staging/places", "staging/game_types"}


def test_a_build_that_failed_is_not_asked_for_again_at_once(clock, days):
    clock.made("data_lake/places", "raw/game_types", "raw/places")
    clock.made("raw/users", "raw/journal_entries", days=days)
    asked = [bool(clock.tick(minutes=2)) for _ in range(11)]
    assert asked[0]
    assert asked.count(True) == 3
