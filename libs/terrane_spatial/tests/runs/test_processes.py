"""Steps in processes of their own, a run that is killed, and a run re-executed from the step that failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid

import dagster as dg
import pytest
from spatial_platform import Platform, job_in_one_process, job_in_processes

from terrane.object_store import DATA_LAKE
from terrane.publishing import list_commits
from terrane_spatial.runs.names import BATCH_TAG

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RUN = """
import sys
import dagster as dg
from spatial_platform import defs
job = defs().resolve_implicit_global_asset_job_def()
job.execute_in_process(
    instance=dg.DagsterInstance.get(),
    run_id=sys.argv[1],
    partition_key="killed",
    asset_selection=[dg.AssetKey(["data_lake", "places"])],
)
"""


def test_steps_run_in_processes_of_their_own(platform: Platform, instance: dg.DagsterInstance) -> None:
    platform.put_sample("apart")
    assert platform.requests()
    job = dg.reconstructable(job_in_processes)
    with dg.execute_job(job, instance, tags={BATCH_TAG: "apart"}) as result:
        assert result.success
        workers = [e for e in result.all_events if e.event_type_value == "STEP_WORKER_STARTED"]
    assert len(workers) == 3
    assert [c.batch_id for c in list_commits(platform.lake, "places")] == ["apart"]
    assert platform.schemas() == []


def test_a_run_re_executed_from_its_failed_step_does_again_what_is_gone(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.put_sample("resumed")
    assert platform.requests()
    in_the_way = platform.store.folder() / DATA_LAKE / "places" / "resumed"
    in_the_way.parent.mkdir()
    in_the_way.write_text("a file where the batch's folder would be")
    job = dg.reconstructable(job_in_one_process)
    with dg.execute_job(job, instance, tags={BATCH_TAG: "resumed"}) as result:
        assert [e.step_key for e in result.all_events if e.is_step_failure] == ["data_lake__places.export"]
        failed = result.run_id
    assert platform.schemas() == []
    batch = platform.batch("resumed")
    assert batch
    assert batch.state == "failed"

    in_the_way.unlink()
    options = dg.ReexecutionOptions.from_failure(failed, instance)
    with dg.execute_job(job, instance, tags={BATCH_TAG: "resumed"}, reexecution_options=options) as result:
        assert result.success
        assert [e.step_key for e in result.all_events if e.is_step_start] == ["data_lake__places.export"]
    (commit,) = list_commits(platform.lake, "places")
    assert commit.summary["rows"] == {"places": 243, "countries": 177}
    assert platform.schemas() == []


def test_a_killed_run_leaves_no_schema_and_its_batch_can_be_run_again(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.put_sample("killed")
    (request,) = platform.requests()
    run_id = str(uuid.uuid4())
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, run_id], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until(lambda: bool(platform.schemas()), 60)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    run = instance.get_run_by_id(run_id)
    assert run
    platform.sweep()
    assert len(platform.schemas()) == 1

    instance.report_run_failed(run)
    platform.run_ended(run_id)
    batch = platform.batch("killed")
    assert batch
    assert batch.state == "failed"
    assert f"the run {run_id} ended without saying why" in batch.reasons[0]
    _wait_until(lambda: not (platform.sweep() or platform.schemas()), 20)
    assert platform.published() == []
    assert platform.run(request).success


def _wait_until(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
