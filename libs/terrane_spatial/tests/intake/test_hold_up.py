"""Intake that nothing holds up: no manifest, no missing right, no look that is cut short, no flood."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import obstore
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from spatial_platform import Platform

from terrane_spatial.intake import accept, landing_zone, ledger, sensor
from terrane_spatial.runs.names import batches_of, published

pytestmark = pytest.mark.integration

LANDED = dg.AssetKey(["landing_zone", "places"])
DECIDED = "manifests/decided/"


def asked_for(platform: Platform) -> list[str | None]:
    return [request.run_key for request in platform.requests()]


def landed(platform: Platform) -> list[Any]:
    records = platform.instance.fetch_materializations(LANDED, limit=100).records
    return [r.asset_materialization.metadata["batch_id"].value for r in records if r.asset_materialization]


def lying(platform: Platform) -> list[str]:
    found = obstore.list_with_delimiter(platform.landing, prefix="manifests/")["objects"]
    return sorted(str(o["path"]) for o in found)


def put_many(platform: Platform, count: int, dataset: str = "places") -> None:
    obstore.put(platform.landing, "batches/shared/countries.gpkg", b"x")
    file = {"key": "batches/shared/countries.gpkg", "size": 1, "sha256": "0" * 64}
    for number in range(count):
        batch_id = f"b-{number:04}"
        manifest = {"version": 1, "batch_id": batch_id, "dataset": dataset, "files": [file]}
        platform.put_manifest(batch_id, json.dumps(manifest).encode())


@contextmanager
def broken(monkeypatch: pytest.MonkeyPatch, function: str, when: Callable[[str], bool]) -> Iterator[None]:
    """The store refuses a call of that name for keys of which `when` holds, as it does without the right."""
    whole = getattr(obstore, function)

    def refuse(store: Any, key: str, *others: Any, **options: Any) -> Any:
        if when(key):
            raise PermissionError(f"403 Forbidden: {key}")
        return whole(store, key, *others, **options)

    with monkeypatch.context() as changed:
        changed.setattr(obstore, function, refuse)
        yield


@pytest.mark.parametrize("digits", [4_300, 4_301, 5_000])
def test_a_number_of_thousands_of_digits_is_rejected_and_holds_up_no_other(platform: Platform, digits: int) -> None:
    platform.put_manifest("aaa-bad", b'{"version": ' + b"1" * digits + b"}")
    platform.put_sample("bbb-good")
    assert asked_for(platform) == ["bbb-good"]
    assert platform.marker("aaa-bad")


@pytest.mark.parametrize(
    "key", ["batches/" + "x" * 300, "batches/good/countries.gpkg/inner.gpkg"], ids=["too long", "below an object"]
)
def test_a_key_that_no_object_can_have_is_rejected_on_every_store(platform_anywhere: Platform, key: str) -> None:
    platform = platform_anywhere
    platform.put_sample("good")
    platform.put_sample("bad", files=[{"key": key, "size": 1, "sha256": "0" * 64}])
    assert asked_for(platform) == ["good"]
    marker = platform.marker("bad")
    assert marker
    assert "there is no object" in marker["reasons"][0]


@pytest.mark.parametrize(("part", "rejected"), [(255, False), (256, True)])
def test_a_bad_request_says_that_there_is_no_object_only_of_a_key_with_a_part_that_is_too_long(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, part: int, rejected: bool
) -> None:
    """As MinIO does it, and as a store does whose region, clock or proxy is wrong."""
    platform.put_sample("b-1", files=[{"key": "batches/" + "x" * part, "size": 1, "sha256": "0" * 64}])
    head = obstore.head

    def refuse(store: Any, key: str) -> Any:
        if key.startswith("batches/"):
            raise obstore.exceptions.GenericError("server returned non-2xx status code: 400 Bad Request")
        return head(store, key)

    with monkeypatch.context() as changed:
        changed.setattr(obstore, "head", refuse)
        platform.tick()
    assert (platform.marker("b-1") is not None) == rejected
    assert (platform.batch("b-1") is not None) == rejected


def test_a_manifest_that_may_be_listed_and_not_read_waits_alone_and_is_set_aside_after_some_tries(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "BACK_OFF_S", (0, 0))
    platform.put_sample("aaa-locked")
    platform.put_sample("bbb-good")
    with broken(monkeypatch, "get", lambda key: "aaa-locked" in key):
        assert asked_for(platform) == ["bbb-good"]
        told = [getattr(platform.tick(), "skip_message", "") for _ in range(4)]
    assert lying(platform) == ["manifests/aaa-locked.json"]
    with platform.ledger.open() as opened:
        assert opened.put_off(["manifests/aaa-locked.json"])
    assert "aaa-locked" not in asked_for(platform)
    assert told


def test_one_that_was_set_aside_is_looked_at_when_it_is_written_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "BACK_OFF_S", ())
    platform.put_sample("locked")
    with broken(monkeypatch, "get", lambda key: "locked" in key):
        assert asked_for(platform) == []
    assert asked_for(platform) == []
    platform.put_sample("locked")
    assert asked_for(platform) == ["locked"]


def test_an_answer_that_cannot_be_written_holds_up_no_other_and_is_written_once_it_can_be(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "BACK_OFF_S", (0, 0, 0, 0))
    platform.put_manifest("aaa-bad", b"{")
    platform.put_sample("bbb-good")
    with monkeypatch.context() as changed:
        changed.setattr(landing_zone, "put", _refuse)
        assert asked_for(platform) == ["bbb-good"]
    assert platform.marker("aaa-bad") is None
    platform.tick()
    assert platform.marker("aaa-bad")


def _refuse(*_: Any, **__: Any) -> None:
    raise PermissionError("403 Forbidden")


def test_a_rejection_tells_every_reason_at_once(platform: Platform) -> None:
    missing = {"key": "batches/none/lakes.gpkg", "size": 1, "sha256": "0" * 64}
    wrong = {"key": platform.put_sample("small")["files"][0]["key"], "size": 1, "sha256": "0" * 64}
    platform.put_sample("bad", files=[missing, wrong])
    platform.tick()
    marker = platform.marker("bad")
    assert marker
    told = "; ".join(marker["reasons"])
    assert "the manifest says 1" in told
    assert "there is no object batches/none/lakes.gpkg" in told


def test_decided_manifests_are_moved_so_that_a_look_lists_only_what_is_new(platform_anywhere: Platform) -> None:
    platform = platform_anywhere
    platform.put_sample("good")
    platform.put_manifest("bad", b"{")
    platform.tick()
    assert lying(platform) == ["manifests/bad.rejected.json"]
    moved = sorted(str(o["path"]) for page in obstore.list(platform.landing, prefix=DECIDED) for o in page)
    assert moved == [f"{DECIDED}bad.json", f"{DECIDED}good.json"]


def test_a_manifest_that_was_copied_and_not_deleted_is_moved_by_the_next_look(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "BACK_OFF_S", (0, 0, 0, 0))
    platform.put_sample("good")
    with broken(monkeypatch, "delete", lambda key: "good" in key):
        assert asked_for(platform) == ["good"]
    assert lying(platform) == ["manifests/good.json"]
    assert asked_for(platform) == ["good"]
    assert lying(platform) == []


def test_a_marker_stays_for_thirty_days_and_then_follows_its_manifest(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.put_manifest("bad", b"{")
    platform.tick()
    platform.tick()
    assert platform.marker("bad")

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=31)

    monkeypatch.setattr(landing_zone, "datetime", Later)
    platform.tick()
    assert lying(platform) == []


def test_an_accepted_batch_gets_its_run_also_when_its_manifest_is_gone_and_nothing_new_came(
    platform: Platform,
) -> None:
    platform.put_sample("good")
    assert asked_for(platform) == ["good"]
    obstore.delete(platform.landing, f"{DECIDED}good.json")
    assert asked_for(platform) == ["good"]


def test_a_look_that_is_cut_short_loses_no_report_of_what_landed(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.put_sample("good")
    with monkeypatch.context() as changed:
        changed.setattr(sensor, "_report", lambda *_: (_ for _ in ()).throw(RuntimeError("the daemon ended")))
        with pytest.raises(RuntimeError, match="the daemon ended"):
            platform.tick()
    assert landed(platform) == []
    assert asked_for(platform) == ["good"]
    platform.tick()
    assert landed(platform) == ["good"]


def test_a_batch_that_an_earlier_release_accepted_by_other_rules_holds_up_no_report(platform: Platform) -> None:
    old = ledger.Arrival("a-old", '{"version": 0, "batch_id": "a-old"}', "0" * 64, None, datetime.now(UTC))
    with platform.ledger.open() as opened:
        assert opened.accept(old, "places")
    platform.put_sample("good")
    platform.tick()
    assert sorted(landed(platform)) == ["a-old", "good"]


def test_a_look_ends_in_time_and_the_next_goes_on(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept, "CHUNK", 2)
    put_many(platform, 5)
    with platform.ledger.open() as opened:
        desk = accept.Desk(platform.landing, opened, {"places"})
        first = accept.take_in(desk, budget_s=0)
        assert (len(first.accepted), first.left) == (2, 3)
        assert len(accept.take_in(desk).accepted) == 3


def test_of_a_flood_a_hundred_wait_in_the_queue_and_the_rest_in_the_ledger_in_order(platform: Platform) -> None:
    put_many(platform, 105)
    requests = platform.requests()
    assert [r.run_key for r in requests] == [f"b-{number:04}" for number in range(100)]
    for request in requests[:98]:
        platform.instance.create_run_for_job(
            platform.definitions.get_implicit_global_asset_job_def(),
            tags={**request.tags, "dagster/partition": str(request.partition_key)},
            status=dg.DagsterRunStatus.NOT_STARTED,
        )
    assert asked_for(platform) == ["b-0098", "b-0099"]


def test_what_lands_last_does_not_wait_until_a_flood_is_taken_in(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "CHUNK", 4)
    put_many(platform, 20)
    platform.put_sample("zzz-last")
    with platform.ledger.open() as opened:
        first = accept.take_in(accept.Desk(platform.landing, opened, {"places"}), budget_s=0)
    assert (len(first.accepted), first.left) == (4, 17)
    assert {"b-0000", "zzz-last"} < set(first.accepted)


def test_a_batch_stands_behind_its_own_dataset_alone(platform: Platform) -> None:
    """Dagster starts runs of a higher priority first."""
    put_many(platform, 3)
    assert [request.tags["dagster/priority"] for request in platform.requests()] == ["0", "-1", "-2"]


def test_a_dataset_that_is_gone_from_the_code_is_not_asked_for(platform: Platform) -> None:
    platform.put_sample("good")
    platform.tick()
    with platform.ledger.open() as opened:
        opened._connection.execute("update ledger.batches set dataset = 'gone'")
    assert asked_for(platform) == []


ANOTHER = "zzz-another"
ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("spatial"), "spatial"), "job")


def wells() -> dg.Definitions:
    """Another location, as the sensor knows it: by the keys of its assets."""

    @dg.asset(key=published("wells"), partitions_def=batches_of("wells"))
    def made() -> None: ...

    return dg.Definitions(assets=[made])


def test_a_run_of_another_location_starts_within_a_minute_of_its_batch_in_a_flood(platform: Platform) -> None:
    """Of 300 batches of one dataset a hundred runs are in Dagster's queue, of which two may run at once."""
    coordinator = {"module": "dagster", "class": "QueuedRunCoordinator", "config": {"max_concurrent_runs": 2}}
    with dg.instance_for_test(overrides={"run_coordinator": coordinator}) as instance:
        flooded = replace(platform, instance=instance)
        put_many(flooded, 300)
        queue(flooded, flooded.requests())
        manifest = {"version": 1, "batch_id": ANOTHER, "dataset": "wells", "files": []}
        file = {"key": "batches/shared/countries.gpkg", "size": 1, "sha256": "0" * 64}
        flooded.put_manifest(ANOTHER, json.dumps({**manifest, "files": [file]}).encode())
        begun = time.monotonic()
        queue(flooded, flooded.requests())
        context = dg.build_sensor_context(
            instance=instance,
            definitions=wells(),
            resources={"store": flooded.store, "ledger": flooded.ledger},
        )
        asked = sensor.manifests(context)
        assert isinstance(asked, dg.SensorResult)
        queue(flooded, list(asked.run_requests or ()))
        due = QueuedRunCoordinatorDaemon(1)._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)
    assert time.monotonic() - begun < 60
    assert [run.tags["dagster/partition"] for run in due] == ["b-0000", ANOTHER]


def queue(platform: Platform, requests: list[dg.RunRequest]) -> None:
    for request in requests:
        platform.instance.create_run_for_job(
            platform.definitions.get_implicit_global_asset_job_def(),
            tags={**request.tags, "dagster/partition": str(request.partition_key)},
            status=dg.DagsterRunStatus.QUEUED,
            remote_job_origin=ORIGIN,
        )
