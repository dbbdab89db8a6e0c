"""Retention: a batch goes with its data, commit, index, ledger and partition, and what is kept costs no more for it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from spatial_platform import Platform

from terrane.publishing import Retention, list_commits, publish
from terrane_spatial.intake.ledger import Arrival
from terrane_spatial.publishing import stac, stac_index
from terrane_spatial.publishing.geoparquet import Written
from terrane_spatial.runs.names import batches_of
from terrane_spatial.runs.retention import retention_of
from terrane_spatial.runs.work import Dataset

pytestmark = pytest.mark.integration

WELLS = Dataset("wells", "Wells.", ("wells",), (), ("wells",))
PARTITIONS = str(batches_of("wells").name)
NOW = datetime.now(UTC)


def publish_one(platform: Platform, number: int, days_old: float) -> None:
    """A batch in the lake, the ledger and Dagster, as a run leaves it."""
    batch_id, moment = f"w-{number:05}", NOW - timedelta(days=days_old)
    table = Written(Path("wells.parquet"), 1, (number % 90, 0.0, 91.0, 1.0), ["Point"], {"geometry": "binary"})
    assert table.bounds
    files: dict[str, Path | bytes] = {"wells.parquet": b"x"}
    about = stac.About("wells", batch_id, "Wells.", moment, table.bounds)
    files[stac.ITEM_FILE] = stac.item_json(about, files, {"wells.parquet": table})
    commit = publish(platform.lake, "wells", batch_id, "run", files, data_time=moment)
    seen(platform, batch_id, moment, "published")
    assert commit.batch_id == batch_id


def seen(platform: Platform, batch_id: str, moment: datetime, state: str) -> None:
    with platform.ledger.open() as ledger:
        ledger.accept(Arrival(batch_id, "{}", "0" * 64, None, moment), "wells")
        ledger._execute(
            "update {ledger}.batches set state = %s, seen_at = %s, reported_at = %s where batch_id = %s",
            [state, moment, moment, batch_id],
        )
    platform.instance.add_dynamic_partitions(PARTITIONS, [batch_id])


def keep(platform: Platform, retention: Retention | None) -> None:
    job, _ = retention_of(WELLS, retention)
    resources = {"store": platform.store, "ledger": platform.ledger}
    assert job.execute_in_process(instance=platform.instance, resources=resources).success


def left(platform: Platform) -> dict[str, list[str]]:
    """The batches that each of the four has."""
    stac_index.refresh(platform.lake, "wells", "Wells.")
    with platform.ledger.open() as ledger:
        rows = ledger._execute("select batch_id from {ledger}.batches order by 1").fetchall()
    return {
        "commits": sorted(c.batch_id for c in list_commits(platform.lake, "wells")),
        "data": sorted({key.split("/")[1] for key in platform.published() if key.startswith("wells/w-")}),
        "ledger": [batch_id for (batch_id,) in rows],
        "partitions": sorted(platform.instance.get_dynamic_partitions(PARTITIONS)),
    }


def same(*batch_ids: str) -> dict[str, list[str]]:
    return {key: list(batch_ids) for key in ("commits", "data", "ledger", "partitions")}


@pytest.mark.parametrize("retention", [Retention(batches=2), Retention(age=timedelta(days=2.5))])
def test_a_batch_beyond_the_retention_goes_from_all_places_together(platform: Platform, retention: Retention) -> None:
    for number in range(4):
        publish_one(platform, number, days_old=4 - number)
    assert left(platform) == same("w-00000", "w-00001", "w-00002", "w-00003")
    keep(platform, retention)
    assert left(platform) == same("w-00002", "w-00003")
    index = stac_index._read(bytes(_get(platform, "wells/_index/items.parquet")))
    assert index["id"].to_pylist() == ["w-00002", "w-00003"]


def test_batches_that_failed_or_were_rejected_go_when_older_ones_would(platform: Platform) -> None:
    for state, days in (("failed", 9), ("rejected", 8), ("quarantined", 7), ("accepted", 9), ("failed", 1)):
        seen(platform, f"{state}-{days}", NOW - timedelta(days=days), state)
    for number in range(2):
        publish_one(platform, number, days_old=3 - number)
    keep(platform, Retention(batches=1))
    expected = ["accepted-9", "failed-1", "w-00001"]
    assert left(platform)["ledger"] == expected
    assert left(platform)["partitions"] == expected


def test_without_a_retention_nothing_is_deleted(platform: Platform) -> None:
    seen(platform, "failed-9", NOW - timedelta(days=9), "failed")
    publish_one(platform, 0, days_old=900)
    keep(platform, None)
    assert left(platform)["partitions"] == ["failed-9", "w-00000"]


@pytest.fixture
def many(platform: Platform) -> tuple[Platform, int]:
    """More partitions than Dagster's advice for an asset, all but some of batches that failed long ago."""
    count = 100_500
    with platform.ledger.open() as ledger:
        ledger._execute(
            "insert into {ledger}.batches (batch_id, dataset, manifest, manifest_sha256, state, seen_at, reported_at) "
            "select 'w-' || lpad(n::text, 6, '0'), 'wells', '{}', '', 'failed', now() - interval '9 days', now() "
            "from generate_series(1, %s) n",
            [count],
        )
    for at in range(1, count + 1, 5_000):
        names = [f"w-{number:06}" for number in range(at, min(at + 5_000, count + 1))]
        platform.instance.add_dynamic_partitions(PARTITIONS, names)
    return platform, count


@pytest.mark.slow
def test_above_a_hundred_thousand_partitions_a_look_costs_no_more_and_retention_brings_them_down(
    many: tuple[Platform, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, count = many
    instance: Any = platform.instance
    assert len(instance.get_dynamic_partitions(PARTITIONS)) == count

    begun = time.monotonic()
    platform.put_sample("next")
    (request,) = platform.requests()
    assert time.monotonic() - begun < 5
    assert platform.run(request).success

    # Deleting is a statement each; a tenth shows it, and is all of what the retention's age says.
    with platform.ledger.open() as ledger:
        ledger._execute(
            "update {ledger}.batches set seen_at = now() where dataset = 'wells' and batch_id > %s", ["w-002000"]
        )
    keep(platform, Retention(age=timedelta(days=5)))
    assert len(instance.get_dynamic_partitions(PARTITIONS)) == count - 2_000


def _get(platform: Platform, key: str) -> Any:
    import obstore

    return obstore.get(platform.lake, key).bytes()


def test_the_job_of_a_dataset_s_retention_runs_every_night() -> None:
    job, schedule = retention_of(WELLS, Retention(batches=3))
    assert job.name == "wells_retention"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
