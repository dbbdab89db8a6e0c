"""Two spatial locations, one landing zone and one ledger: a manifest is its dataset's location's to decide."""

from __future__ import annotations

from typing import Any

import obstore
import pytest
from spatial_platform import Platform

from terrane_spatial.intake import landing_zone
from terrane_spatial.intake.accept import Desk, Intake, take_in

pytestmark = pytest.mark.integration

NORTH, SOUTH = ("north", {"places"}), ("south", {"rivers"})


@pytest.fixture
def look(platform: Platform) -> Any:
    """One look of a location at the landing zone."""

    def looked(location: tuple[str, set[str]]) -> Intake:
        name, datasets = location
        with platform.ledger.open() as ledger:
            return take_in(Desk(platform.landing, ledger, ledger.declare(name, datasets)))

    return looked


def execute(platform: Platform, statement: str) -> list[tuple]:
    with platform.ledger.open(), platform.ledger.connect(autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def lying(platform: Platform) -> list[str]:
    found = obstore.list_with_delimiter(platform.landing, prefix="manifests/")["objects"]
    return sorted(str(o["path"]).removeprefix("manifests/") for o in found)


def test_each_takes_its_own_and_leaves_the_other_s(platform: Platform, look) -> None:
    look(NORTH)
    look(SOUTH)
    platform.put_sample("p-1")
    platform.put_sample("r-1", dataset="rivers")
    north, south = look(NORTH), look(SOUTH)
    assert (north.accepted, north.rejected, north.waiting) == (["p-1"], {}, {})
    assert (south.accepted, south.rejected, south.waiting) == (["r-1"], {}, {})
    assert lying(platform) == []


def test_what_comes_before_its_location_waits_and_is_taken_by_it(platform: Platform, look) -> None:
    platform.put_sample("r-1", dataset="rivers")
    north = look(NORTH)
    assert (north.accepted, north.rejected) == ([], {})
    assert "no location declares 'rivers' yet" in north.waiting["manifests/r-1.json"]
    assert lying(platform) == ["r-1.json", "r-1.waiting.json"]
    assert b"no location declares 'rivers' yet" in bytes(
        obstore.get(platform.landing, "manifests/r-1.waiting.json").bytes()
    )
    assert look(SOUTH).accepted == ["r-1"]
    assert look(NORTH).waiting == {}
    assert lying(platform) == []


def test_one_that_waits_is_not_read_again_unless_it_is_written_anew(
    platform: Platform, look, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.put_sample("r-1", dataset="rivers")
    look(NORTH)
    read: list[str] = []
    whole = landing_zone.read
    monkeypatch.setattr(landing_zone, "read", lambda bucket, key, *more: read.append(key) or whole(bucket, key, *more))
    assert list(look(NORTH).waiting) == ["manifests/r-1.json"]
    assert read == []
    platform.put_sample("r-1")
    assert look(NORTH).accepted == ["r-1"]


def test_a_dataset_that_nobody_ever_declared_is_refused_after_a_week_and_no_sooner(platform: Platform, look) -> None:
    platform.put_sample("l-1", dataset="lakes")
    look(NORTH)
    execute(platform, "update ledger.elsewhere set since = now() - interval '6 days 23 hours'")
    assert look(NORTH).rejected == {}
    assert platform.marker("l-1") is None
    execute(platform, "update ledger.elsewhere set since = now() - interval '7 days 1 minute'")
    assert "no location declared it in 7 days" in look(SOUTH).rejected["l-1"][0]
    marker, batch = platform.marker("l-1"), platform.batch("l-1")
    assert marker
    assert batch
    assert (batch.state, batch.reasons) == ("rejected", marker["reasons"])
    look(NORTH)
    assert lying(platform) == ["l-1.rejected.json"]
    assert execute(platform, "select * from ledger.elsewhere") == []


def test_a_dataset_whose_location_is_stopped_is_never_refused(platform: Platform, look) -> None:
    look(SOUTH)
    execute(platform, "update ledger.datasets set declared_at = now() - interval '300 days'")
    platform.put_sample("r-1", dataset="rivers")
    look(NORTH)
    execute(platform, "update ledger.elsewhere set since = now() - interval '299 days'")
    north = look(NORTH)
    assert north.rejected == {}
    assert "declared by the location south, which is not running it now" in north.waiting["manifests/r-1.json"]
    assert look(SOUTH).accepted == ["r-1"]


def test_a_dataset_that_two_declare_is_the_first_one_s_while_it_runs(platform: Platform, look) -> None:
    look(NORTH)
    platform.put_sample("p-1")
    other = ("other", {"places"})
    assert look(other).accepted == []
    assert look(NORTH).accepted == ["p-1"]
    platform.put_sample("p-2")
    execute(platform, "update ledger.datasets set declared_at = now() - interval '11 minutes'")
    assert look(other).accepted == ["p-2"]


def test_what_is_no_manifest_is_answered_once_whoever_looks(platform: Platform, look) -> None:
    look(NORTH)
    look(SOUTH)
    platform.put_manifest("bad", b"{")
    assert list(look(SOUTH).rejected) == ["bad"]
    assert look(NORTH).rejected == {}
    assert platform.marker("bad")


def test_a_batch_of_the_other_s_that_landed_is_left_for_it_to_report(platform: Platform, look) -> None:
    look(SOUTH)
    platform.put_sample("r-1", dataset="rivers")
    look(SOUTH)
    platform.put_sample("p-1")
    platform.tick()
    assert execute(platform, "select batch_id from ledger.batches where reported_at is null") == [("r-1",)]
