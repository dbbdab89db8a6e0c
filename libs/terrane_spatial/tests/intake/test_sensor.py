"""The sensor of the landing zone: what it accepts, what it rejects for good, and how often it looks."""

from __future__ import annotations

import json

import dagster as dg
import obstore
import pytest

pytestmark = pytest.mark.integration

LANDED = dg.AssetKey(["landing_zone", "places"])


def assert_rejected(platform, batch_id: str, said: str) -> None:
    """The batch has a marker and a line in the ledger with the reason, got no run, and is never looked at again."""
    assert platform.requests() == []
    marker = platform.marker(batch_id)
    assert said in "; ".join(marker["reasons"])
    assert marker["manifest"] == f"manifests/{batch_id}.json"
    assert "new batch_id" in marker["next"]
    batch = platform.batch(batch_id)
    assert (batch.state, batch.reasons) == ("rejected", marker["reasons"])
    assert platform.requests() == []
    assert platform.marker(batch_id) == marker
    assert platform.published() == []


def assert_the_next_good_batch_works(platform) -> None:
    platform.put_sample("next-good")
    assert platform.run_next().success
    assert platform.batch("next-good").state == "published"


def test_a_good_manifest_gets_one_run_and_is_seen_once(platform_anywhere) -> None:
    platform = platform_anywhere
    platform.put_sample()

    (request,) = platform.requests()
    assert request.run_key == "natural-earth-1"
    assert list(request.asset_selection) == [dg.AssetKey(["data_lake", "places"])]
    (again,) = platform.requests()
    assert again.run_key == request.run_key

    assert platform.run(request).success
    assert platform.requests() == []
    assert isinstance(platform.tick(), dg.SkipReason)


def test_a_batch_that_landed_is_reported_as_an_external_asset_with_the_facts_of_its_manifest(platform) -> None:
    platform.put_sample()
    platform.tick()
    platform.tick()
    records = platform.instance.fetch_materializations(LANDED, limit=10).records
    (materialization,) = [record.asset_materialization for record in records]
    assert materialization.metadata["batch_id"].value == "natural-earth-1"
    assert len(materialization.metadata["files"].value) == 2


def test_what_is_no_json_is_rejected(platform) -> None:
    platform.put_manifest("broken", b'{"version": 1,')
    assert_rejected(platform, "broken", "manifests/broken.json is not JSON")
    assert_the_next_good_batch_works(platform)


def test_fields_that_no_store_could_keep_are_rejected_like_others(platform) -> None:
    platform.put_manifest("odd", b'{"\\ud800": 1}')
    assert_rejected(platform, "odd", "input should be a valid string")
    platform.put_manifest("nul", b'{"\\u0000": "\\u0000"}')
    assert_rejected(platform, "nul", "\\x00: unknown field")


def test_unknown_fields_are_rejected(platform) -> None:
    platform.put_sample("extra", driver="VRT")
    assert_rejected(platform, "extra", "driver: unknown field; expected only version, batch_id, dataset, files")
    assert_the_next_good_batch_works(platform)


def test_a_path_instead_of_a_key_is_rejected(platform) -> None:
    file = {"key": "/etc/passwd", "size": 1, "sha256": "0" * 64}
    platform.put_sample("path", files=[file])
    assert_rejected(platform, "path", "files[0].key: expected an object key")
    assert_the_next_good_batch_works(platform)


def test_a_missing_file_is_rejected_on_every_store(platform_anywhere) -> None:
    platform = platform_anywhere
    manifest = platform.put_sample("missing")
    obstore.delete(platform.landing, manifest["files"][1]["key"])
    assert_rejected(platform, "missing", "there is no object batches/missing/places.zip")


def test_a_file_of_another_size_is_rejected(platform) -> None:
    manifest = platform.put_sample("size")
    obstore.put(platform.landing, manifest["files"][1]["key"], b"short")
    assert_rejected(platform, "size", "files[1].size: batches/size/places.zip has 5 bytes, the manifest says")


def test_a_batch_id_seen_before_with_other_content_is_rejected_and_what_was_published_stands(platform) -> None:
    platform.put_sample("twice")
    assert platform.run_next().success
    before = platform.published()

    platform.put_sample("twice", files=[{"key": "batches/twice/places.zip", "size": 1, "sha256": "0" * 64}])

    assert platform.requests() == []
    assert "was seen before with other content, and is published" in platform.marker("twice")["reasons"][0]
    batch = platform.batch("twice")
    assert batch.state == "published"
    assert "seen before with other content" in batch.reasons[0]
    assert platform.published() == before
    assert platform.requests() == []
    assert_the_next_good_batch_works(platform)


def test_the_same_manifest_written_again_is_no_news(platform) -> None:
    platform.put_sample("same")
    assert platform.run_next().success
    platform.put_sample("same")
    assert platform.requests() == []
    assert platform.marker("same") is None
    assert platform.batch("same").state == "published"


def test_a_rejected_manifest_that_is_corrected_in_place_stays_rejected(platform) -> None:
    platform.put_manifest("b-1", b"{")
    assert platform.requests() == []
    platform.put_sample("b-1")
    assert platform.requests() == []
    assert platform.batch("b-1").state == "rejected"


def test_a_name_that_is_no_batch_id_is_rejected_with_a_marker_alone(platform) -> None:
    platform.put_manifest("No Batch", b"{}")
    assert platform.requests() == []
    assert platform.marker("No Batch")["reasons"]
    assert platform.requests() == []
    assert isinstance(platform.tick(), dg.SkipReason)


def test_bad_and_good_manifests_of_one_look_do_not_disturb_each_other(platform) -> None:
    platform.put_manifest("a-bad", b"{")
    platform.put_sample("b-good")
    platform.put_sample("c-good")
    assert [r.run_key for r in platform.requests()] == ["b-good", "c-good"]


def test_the_manifest_as_it_was_accepted_is_what_is_run(platform) -> None:
    platform.put_sample("swapped")
    (request,) = platform.requests()
    platform.put_manifest("swapped", json.dumps({"version": 1}).encode())
    assert platform.run(request).success
    assert platform.batch("swapped").state == "published"


def test_an_idle_look_lists_nothing_that_was_decided_and_reads_nothing(platform, monkeypatch) -> None:
    platform.put_sample()
    assert platform.run_next().success
    platform.tick()
    monkeypatch.setattr(obstore, "get", lambda *_, **__: pytest.fail("an object was read"))
    monkeypatch.setattr(obstore, "head", lambda *_, **__: pytest.fail("an object was asked for"))
    skipped = platform.tick()
    assert isinstance(skipped, dg.SkipReason)
    assert "nothing new" in (skipped.skip_message or "")


def test_dagster_s_own_evaluation_adds_the_partition_and_names_it_in_the_run(platform) -> None:
    """As the daemon has it from the code server, which checks that the key is a partition."""
    platform.put_sample("b-1")
    repository = platform.definitions.get_repository_def()
    resources = {"store": platform.store, "ledger": platform.ledger}
    with dg.DagsterInstance.local_temp() as instance:
        context = dg.build_sensor_context(instance=instance, repository_def=repository, resources=resources)
        # As it is for a code server, and not for tests, whose context finds no partitions without it.
        context._instance_ref = instance.get_ref()
        data = repository.get_sensor_def("manifests").evaluate_tick(context)
        assert instance.has_dynamic_partition("places_batches", "b-1")
    (request,) = data.run_requests
    assert request.tags["dagster/partition"] == "b-1"
    (added,) = data.dynamic_partitions_requests
    assert (added.partitions_def_name, list(added.partition_keys)) == ("places_batches", ["b-1"])
