"""Nothing that died, hangs or waits blocks others for ever, on the cluster and on a laptop."""

from __future__ import annotations

import datetime
import functools
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.monitoring import concurrency
from tests.charts.conftest import Rendering
from tests.charts.rendering import Render

from terrane_cli.laptop.instance import write_instance
from terrane_cli.laptop.settings import Settings
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

# A day: what a run may last. An hour more: what its Job may, from the moment it is made.
LONGEST_RUN_SECONDS, LONGEST_JOB_SECONDS = 86_400, 90_000


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The instance's configuration on a laptop."""
    monkeypatch.setenv("TERRANE_STATE", str(tmp_path))
    project = Project.here()
    return yaml.safe_load((write_instance(project, Settings.load(project)) / "dagster.yaml").read_text())


def test_a_run_that_died_frees_its_place_in_a_pool(every: Render) -> None:
    assert _second_run_gets_the_place(every.configuration()["run_monitoring"])


def test_so_it_does_on_a_laptop(laptop: dict[str, Any]) -> None:
    assert _second_run_gets_the_place(laptop["run_monitoring"])


def test_without_the_setting_it_would_not(every: Render) -> None:
    monitoring = every.configuration()["run_monitoring"]
    assert not _second_run_gets_the_place({**monitoring, "free_slots_after_run_end_seconds": 0})


def test_what_hangs_ends(every: Render) -> None:
    config = every.configuration()
    monitoring = config["run_monitoring"]
    assert monitoring["max_runtime_seconds"] == LONGEST_RUN_SECONDS
    assert monitoring["start_timeout_seconds"] == 300
    assert monitoring["cancel_timeout_seconds"] == 180
    assert monitoring["free_slots_after_run_end_seconds"] == 15
    assert monitoring["poll_interval_seconds"] == 15
    if config["run_launcher"]["class"] == "K8sRunLauncher":
        job = config["run_launcher"]["config"]["run_k8s_config"]["job_spec_config"]
        # A pod that finds no node stays when its run is given up.
        assert job == {"ttlSecondsAfterFinished": 3600, "activeDeadlineSeconds": LONGEST_JOB_SECONDS}
        assert monitoring["start_timeout_seconds"] + LONGEST_RUN_SECONDS < LONGEST_JOB_SECONDS


def test_laptop_and_cluster_have_one_configuration_but_for_what_is_named_here(
    rendered: Rendering, laptop: dict[str, Any]
) -> None:
    cluster = rendered("kind").configuration()
    # Where things are, and how runs are started.
    for own in ("scheduler", "schedule_storage", "run_storage", "event_log_storage", "run_launcher", "compute_logs"):
        cluster.pop(own)
    for own in ("storage", "run_launcher", "compute_logs"):
        laptop.pop(own)
    # A laptop has one person, who waits for less, and fewer processors.
    different = {
        ("run_monitoring", "start_timeout_seconds"): (300, 120),
        ("run_monitoring", "poll_interval_seconds"): (15, 10),
        ("concurrency", "runs"): (cluster["concurrency"]["runs"], {"max_concurrent_runs": 4}),
        ("run_coordinator", "module"): ("dagster.core.run_coordinator", "dagster.core.run_coordinator"),
        ("run_coordinator", "config"): (cluster["run_coordinator"]["config"], {"dequeue_interval_seconds": 1}),
        ("schedules", "num_workers"): (4, 2),
    }
    for (section, key), (there, here) in different.items():
        found = cluster[section].pop(key), laptop[section].pop(key)
        # Releases of the chart differ in the module's name.
        assert tuple(str(v).replace("._core.", ".core.") for v in found) == (str(there), str(here)), (section, key)
    assert cluster == laptop


def _second_run_gets_the_place(monitoring: dict[str, Any]) -> bool:
    """Whether, a minute after a run died in a pool of one, another run may take its place."""
    return _asked_of_dagster(json.dumps(monitoring, sort_keys=True))


@functools.cache
def _asked_of_dagster(monitoring: str) -> bool:
    """The same, once for equal settings: an instance takes a second to make, and most profiles have the same."""
    overrides = {"run_monitoring": json.loads(monitoring), "telemetry": {"enabled": False}}
    with DagsterInstance.local_temp(overrides=overrides) as instance, pytest.MonkeyPatch.context() as patch:
        storage = instance.event_log_storage
        storage.set_concurrency_slots("feast", 1)
        died, next_one = (create_run_for_test(instance, job_name=name) for name in ("died", "next_one"))
        assert storage.claim_concurrency_slot("feast", died.run_id, "step").is_claimed
        assert not storage.claim_concurrency_slot("feast", next_one.run_id, "step").is_claimed
        instance.report_run_failed(died)
        run = instance.get_run_by_id(died.run_id)
        assert run
        assert run.status == DagsterRunStatus.FAILURE
        later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
        patch.setattr(concurrency, "get_current_datetime", lambda: later)
        daemon: Any = SimpleNamespace(instance=instance)
        assert [*concurrency.execute_concurrency_slots_iteration(daemon, logging.getLogger())].count(None) >= 1
        return storage.claim_concurrency_slot("feast", next_one.run_id, "step").is_claimed
