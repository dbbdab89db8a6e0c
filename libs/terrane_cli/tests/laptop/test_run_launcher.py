"""A run whose process is gone ends, and one whose process lives does not."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.test_utils import create_run_for_test, instance_for_test
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from terrane_cli.laptop.run_launcher import is_alive

pytestmark = pytest.mark.unit


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    launcher = {"module": "terrane_cli.laptop.run_launcher", "class": "LaptopRunLauncher"}
    monitoring = {"enabled": True, "max_resume_run_attempts": 0}
    overrides: dict[str, Any] = {"run_launcher": launcher, "run_monitoring": monitoring}
    with instance_for_test(overrides=overrides) as instance:
        yield instance


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def monitored(instance: dg.DagsterInstance, pid: int | None) -> dg.DagsterRunStatus:
    """How a started run is after one look of run monitoring."""
    run = create_run_for_test(instance, job_name="a_job", status=dg.DagsterRunStatus.STARTED)
    if pid is not None:
        told = f"Started process for run (pid: {pid})."
        instance.report_engine_event(told, run, EngineEventData.in_process(pid))
    record = instance.get_run_record_by_id(run.run_id)
    assert record
    monitor_started_run(instance, None, record, logging.getLogger("test"))  # pyright: ignore[reportArgumentType]
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found.status


def test_a_run_whose_process_was_killed_fails(instance: dg.DagsterInstance, process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert monitored(instance, process.pid) is dg.DagsterRunStatus.FAILURE


def test_a_run_whose_process_lives_goes_on(instance: dg.DagsterInstance, process: subprocess.Popen[bytes]) -> None:
    assert monitored(instance, process.pid) is dg.DagsterRunStatus.STARTED


def test_a_run_of_which_no_process_has_told_yet_goes_on(instance: dg.DagsterInstance) -> None:
    assert monitored(instance, None) is dg.DagsterRunStatus.STARTED


def test_a_process_that_has_ended_and_is_not_waited_for_is_not_alive(process: subprocess.Popen[bytes]) -> None:
    assert is_alive(process.pid)
    process.kill()
    deadline = time.monotonic() + 10
    while is_alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(process.pid)


def test_a_number_that_another_program_has_got_is_no_run() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        assert not is_alive(other.pid)
        other.kill()
