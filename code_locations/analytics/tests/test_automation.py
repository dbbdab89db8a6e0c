"""What is asked for by itself, tick by tick, with the conditions as they are declared and nothing executed."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from location import loaded

from analytics import partitions
from analytics.missing_days import RANGE_END_TAG, RANGE_START_TAG
from terrane_dev.automation import Status, World

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
RESOURCES = ("source_api", "warehouse", "object_store")


class Clock(World):
    """The location on an instance, and ticks of its automation."""

    def __init__(self, instance):
        resources = {name: dg.ResourceDefinition.none_resource() for name in RESOURCES}
        super().__init__(dg.Definitions.merge(loaded(), dg.Definitions(resources=resources)), instance, NOW)

    def tick(self, minutes=0.5):  # pyright: ignore[reportIncompatibleMethodOverride]
        """The keys asked for; their runs are the test's own to make."""
        return super().tick(seconds=minutes * 60, launch=False)

    def made(self, *keys, days=(), run=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        super().made(*keys, partitions=days, run=run)

    def ingested(self, days):
        """Both daily tables have those days, and the check of entries has passed."""
        self.made("raw/users", "raw/journal_entries", days=days)
        self.check("raw/journal_entries", passed=True)


@pytest.fixture
def clock():
    with dg.DagsterInstance.ephemeral() as instance:
        yield Clock(instance)


@pytest.fixture
def days():
    return partitions.daily().get_partition_keys(current_time=NOW)


CHECK = "raw/journal_entries:entries_are_by_known_users"


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
    clock.made("raw/journal_entries", days=days)
    assert clock.tick() == {CHECK}
    clock.check("raw/journal_entries", passed=True)
    assert clock.tick() == chain()
    clock.made(*chain())
    assert [clock.tick(), clock.tick(), clock.tick()] == [set(), set(), set()]


def test_a_table_that_stays_missing_holds_only_what_reads_it(clock, days):
    clock.made("raw/game_types")
    clock.ingested(days)
    clock.tick()
    asked = set().union(*(clock.tick(minutes=2) for _ in range(6)))
    assert asked == {"staging/users", "staging/journal_entries", "staging/game_types"}


def test_a_day_that_cannot_be_taken_does_not_stop_dbt(clock, days):
    clock.made("data_lake/places", "raw/game_types", "raw/places")
    clock.made("raw/users", days=days)
    clock.ingested([day for day in days if day != "2026-01-03"])
    assert chain() <= clock.tick()


def test_a_new_day_asks_for_dbt_once_both_its_tables_are_there(clock, days):
    clock.made("data_lake/places", "raw/game_types", "raw/places", *chain())
    clock.ingested(days)
    clock.tick()
    new = days[-1][:-1] + str(int(days[-1][-1]) + 1)
    clock.tick(minutes=24 * 60)
    run = clock.launch("raw/users", "raw/journal_entries", tags={RANGE_START_TAG: new, RANGE_END_TAG: new})
    clock.made("raw/users", days=[new], run=run)
    assert clock.tick().isdisjoint(chain())
    clock.made("raw/journal_entries", days=[new], run=run)
    clock.check("raw/journal_entries", passed=True, run=run)
    clock.end(run, Status.SUCCESS)
    assert clock.tick() == chain() - {"staging/places", "staging/game_types"}


def test_entries_that_fail_their_blocking_check_stop_every_model(clock, days):
    clock.made("data_lake/places", "raw/game_types", "raw/places")
    clock.made("raw/users", "raw/journal_entries", days=days)
    clock.check("raw/journal_entries", passed=False)
    assert [clock.tick(minutes=6).isdisjoint(chain()) for _ in range(4)] == [True] * 4
    clock.check("raw/journal_entries", passed=True)
    assert clock.tick() >= chain()


def test_gold_that_fails_its_tests_is_not_exported(clock, days):
    clock.made("data_lake/places", "raw/game_types", "raw/places", *chain())
    clock.ingested(days)
    clock.tick()
    clock.made("gold/user_journal_features")
    clock.check("gold/user_journal_features", passed=False)
    assert [clock.tick(minutes=6) for _ in range(4)] == [set()] * 4
    clock.made("gold/user_journal_features")
    clock.check("gold/user_journal_features", passed=True)
    assert clock.tick() == {"exports/user_journal_features"}


def test_a_build_that_failed_is_asked_for_again_and_not_at_once(clock, days):
    clock.made("data_lake/places", "raw/game_types", "raw/places")
    clock.ingested(days)
    asked = [bool(clock.tick(minutes=2)) for _ in range(11)]
    assert asked[0]
    assert asked.count(True) == 3
