"""A run is its batch's: whatever is re-executed, launched twice or retried publishes the batch that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest
from spatial_batches import collection, geojson_batch, point
from spatial_platform import Platform, job_in_one_process

from terrane.object_store import DATA_LAKE
from terrane.publishing import list_commits, read_commit
from terrane_spatial.intake.ledger import Ledger
from terrane_spatial.publishing import batch_files
from terrane_spatial.runs import stages
from terrane_spatial.runs.names import BATCH_TAG, batches_of
from terrane_spatial.transforms import run_steps

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PLACES = dg.AssetKey(["data_lake", "places"])


@contextmanager
def in_the_way(platform: Platform, batch_id: str) -> Iterator[None]:
    """Nothing of the batch can be published: a file is where its folder would be."""
    block = platform.store.folder() / DATA_LAKE / "places" / batch_id
    block.parent.mkdir(exist_ok=True)
    block.write_text("x")
    yield
    block.unlink()


def launch(platform: Platform, request: dg.RunRequest) -> tuple[str, bool]:
    """Launches the job as a person does who names the batch."""
    job = dg.reconstructable(job_in_one_process)
    with dg.execute_job(job, platform.instance, tags={BATCH_TAG: str(request.partition_key)}) as result:
        return result.run_id, result.success


def again(platform: Platform, run_id: str) -> tuple[str, bool]:
    """Re-executes the run from its failed step, as the button in the UI does: with the tags of the run before."""
    options = dg.ReexecutionOptions.from_failure(run_id, platform.instance)
    before = platform.instance.get_run_by_id(run_id)
    assert before
    job, tags = dg.reconstructable(job_in_one_process), {BATCH_TAG: before.tags[BATCH_TAG]}
    with dg.execute_job(job, platform.instance, tags=tags, reexecution_options=options) as result:
        return result.run_id, result.success


def published(platform: Platform) -> list[str]:
    return sorted(commit.batch_id for commit in list_commits(platform.lake, "places"))


def newer(platform: Platform) -> None:
    """A batch comes after, and is accepted."""
    platform.put("b-new", geojson_batch(places=collection([point(1, 1, name="new")])))
    platform.requests()


def test_a_run_re_executed_after_a_second_launch_publishes_its_own_batch(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.put("b-old", geojson_batch())
    (request,) = platform.requests()
    with in_the_way(platform, "b-old"):
        first, done = launch(platform, request)
        assert not done
        assert not launch(platform, request)[1]
    newer(platform)
    assert again(platform, first)[1]
    assert published(platform) == ["b-old"]


def test_a_run_re_executed_twice_publishes_its_own_batch(platform: Platform, instance: dg.DagsterInstance) -> None:
    platform.put("b-old", geojson_batch())
    (request,) = platform.requests()
    with in_the_way(platform, "b-old"):
        first, _ = launch(platform, request)
        again(platform, first)
    newer(platform)
    assert again(platform, first)[1]
    assert published(platform) == ["b-old"]
    batch = platform.batch("b-new")
    assert batch
    assert batch.state == "accepted"


def test_several_batches_at_once_are_each_published_by_their_own_run(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    ids = [f"b-{number}" for number in range(3)]
    for number, batch_id in enumerate(ids):
        rows = [point(at, 1, name=f"p{at}") for at in range(number + 1)]
        platform.put(batch_id, geojson_batch(places=collection(rows)))
    requests = {request.partition_key: request for request in platform.requests()}
    failed = {}
    for batch_id in ids:
        with in_the_way(platform, batch_id):
            failed[batch_id], _ = launch(platform, requests[batch_id])
    for batch_id in reversed(ids):
        assert again(platform, failed[batch_id])[1]
    rows_of = {c.batch_id: c.summary["rows"]["places"] for c in list_commits(platform.lake, "places")}
    assert rows_of == {"b-0": 1, "b-1": 2, "b-2": 3}
    statuses = instance.get_status_by_partition(PLACES, ids, batches_of("places"))
    assert {key: status.value if status else None for key, status in (statuses or {}).items()} == dict.fromkeys(
        ids, "MATERIALIZED"
    )


def test_a_backfill_of_several_batches_is_a_run_for_each(platform: Platform, instance: dg.DagsterInstance) -> None:
    """As the UI launches them, with the partition and no tag of ours."""
    policy = platform.definitions.resolve_assets_def(PLACES).backfill_policy or dg.BackfillPolicy.multi_run()
    assert policy.max_partitions_per_run == 1
    for batch_id in ("b-1", "b-2"):
        platform.put(batch_id, geojson_batch())
    for request in platform.requests():
        assert launch(platform, dg.RunRequest(partition_key=request.partition_key))[1]
    assert sorted(published(platform)) == ["b-1", "b-2"]


def test_dagster_s_own_retry_goes_on_with_what_is_loaded_and_publishes_the_run_s_batch(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.put("b-old", geojson_batch())
    (request,) = platform.requests()
    publish, tries = batch_files.publish, []

    def lost_once(*given: object, **named: object) -> object:
        tries.append(platform.batch("b-old"))
        if len(tries) == 1:
            newer(platform)
            raise ConnectionError("the store went away")
        return publish(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(batch_files, "publish", lost_once)
    loads: list[str] = []
    load_files = stages.load_files
    monkeypatch.setattr(
        stages, "load_files", lambda *given, **named: loads.append("b-old") or load_files(*given, **named)
    )
    run_id, done = launch(platform, request)
    assert done
    assert [batch.state for batch in tries if batch] == ["accepted", "accepted"]
    assert loads == ["b-old"]
    assert published(platform) == ["b-old"]
    events = instance.all_logs(run_id)
    assert [e.dagster_event.step_key for e in events if e.dagster_event and e.dagster_event.is_step_up_for_retry] == [
        "data_lake__places.export"
    ]


def test_what_is_permanent_is_not_tried_again(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.put("b-old", geojson_batch())
    (request,) = platform.requests()
    tries = []

    def broken(*_: object, **__: object) -> None:
        tries.append(1)
        raise KeyError("a fault of ours")

    monkeypatch.setattr(batch_files, "publish", broken)
    assert not launch(platform, request)[1]
    assert tries == [1]
    batch = platform.batch("b-old")
    assert batch
    assert batch.state == "failed"


def test_steps_that_are_begun_again_after_they_were_cut_short_begin_with_what_was_loaded(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise rows that the first try dropped would be counted twice."""
    platform.put("b-1", geojson_batch(places=collection([point(1, 1, name="a"), point(2, 2, name=None)])))
    (request,) = platform.requests()
    balances, tries = run_steps.balances, []

    def cut_short(*given: object) -> object:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("lost after the steps")
        return balances(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(run_steps, "balances", cut_short)
    assert platform.run(request).success
    commit = read_commit(platform.lake, "places", "b-1")
    assert commit.summary["tables"]["places"] | {"in": 2, "out": 1, "dropped": 1} == commit.summary["tables"]["places"]


def test_a_ledger_that_is_away_after_the_commit_fails_no_run_and_learns_of_it_later(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.put("b-1", geojson_batch())
    (request,) = platform.requests()

    def away(*_: object) -> None:
        raise ConnectionError("the ledger's server restarts")

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "publish", away)
        result = platform.run(request)
    assert result.success
    batch = platform.batch("b-1")
    assert batch
    assert batch.state == "accepted"
    platform.sweep()
    batch = platform.batch("b-1")
    assert batch
    assert (batch.state, batch.reasons) == ("published", [])


def test_a_run_without_a_batch_is_refused_in_words(platform: Platform, instance: dg.DagsterInstance) -> None:
    platform.put("b-1", geojson_batch())
    platform.requests()
    with dg.execute_job(dg.reconstructable(job_in_one_process), instance) as result:
        assert not result.success
        (event,) = [e for e in result.all_events if e.is_step_failure]
    assert event.step_failure_data.user_failure_data
    assert "names no batch" in (event.step_failure_data.user_failure_data.description or "")
    batch = platform.batch("b-1")
    assert batch
    assert batch.state == "accepted"
