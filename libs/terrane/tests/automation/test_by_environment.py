"""What runs by itself is said by the environment, whatever kind of sensor or schedule it is."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from terrane.automation.by_environment import by_environment, runs_by_itself
from terrane.definitions import load_definitions
from terrane.policies import automation_sensor

pytestmark = pytest.mark.unit


@dg.sensor(job_name="job", default_status=dg.DefaultSensorStatus.RUNNING)
def sweeper() -> None: ...


@dg.op
def work() -> None: ...


@dg.job
def job() -> None:
    work()


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"))
def daily() -> None: ...


def _definitions() -> dg.Definitions:
    off = dg.ScheduleDefinition(name="off", job=job, cron_schedule="@daily")
    nightly = dg.ScheduleDefinition(
        name="nightly", job=job, cron_schedule="@daily", default_status=dg.DefaultScheduleStatus.RUNNING
    )
    of_days = dg.build_schedule_from_partitioned_job(
        dg.define_asset_job("days", [daily]), name="of_days", default_status=dg.DefaultScheduleStatus.RUNNING
    )
    return dg.Definitions(
        assets=[daily], jobs=[job], sensors=[sweeper, automation_sensor("maps")], schedules=[off, nightly, of_days]
    )


def _running(definitions: dg.Definitions) -> set[str]:
    repository = definitions.get_repository_def()
    found = [*repository.sensor_defs, *repository.schedule_defs]
    return {each.name for each in found if each.default_status.name == "RUNNING"}


EVERYTHING = {"sweeper", "maps_automation", "nightly", "of_days"}


@pytest.mark.parametrize(
    ("environment", "said", "running"),
    [
        ("", None, EVERYTHING),
        ("", "none", set()),
        ("staging", None, set()),
        ("staging", "", set()),
        ("staging", "all", EVERYTHING),
        ("staging", "sweeper, of_days,off", {"sweeper", "of_days"}),
        ("staging", "maps_automation", {"maps_automation"}),
    ],
)
def test_what_is_not_named_is_off_until_somebody_switches_it_on(
    monkeypatch: pytest.MonkeyPatch, environment: str, said: str | None, running: set[str]
) -> None:
    monkeypatch.setenv("TERRANE_ENVIRONMENT", environment)
    if said is not None:
        monkeypatch.setenv("TERRANE_AUTOMATION", said)
    assert _running(by_environment(_definitions())) == running


def test_a_definition_that_others_hold_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "staging")
    by_environment(_definitions())
    assert sweeper.default_status == dg.DefaultSensorStatus.RUNNING


def test_a_location_is_loaded_with_what_its_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "maps_in_staging"
    (package / "defs").mkdir(parents=True)
    for file in (tmp_path / "pyproject.toml", package / "__init__.py", package / "defs/__init__.py"):
        file.write_text("")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\nproject.root_module = "maps_in_staging"\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "staging")
    for left_out in ("", "left_out"):
        monkeypatch.setenv("TERRANE_BROKEN_DEFINITIONS", left_out)
        assert _running(load_definitions(package, _definitions())) == set()
    monkeypatch.delenv("TERRANE_ENVIRONMENT")
    assert _running(load_definitions(package, _definitions())) == EVERYTHING


def test_a_name_is_one_whole_name() -> None:
    said = {"TERRANE_AUTOMATION": "sweeper_of_maps"}
    assert not runs_by_itself("sweeper", said)
    assert runs_by_itself("sweeper_of_maps", said)
