"""A scheduled job is declared in YAML and becomes a job and its schedule."""

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from terrane.components import ScheduledJob

pytestmark = pytest.mark.unit
ATTRIBUTES = {
    "name": "nightly",
    "selection": 'key:"gold/*"',
    "cron_schedule": "0 3 * * *",
    "description": "Gold, once a night.",
    "tags": {"domain": "example"},
}
ASSETS = """
import dagster as dg


@dg.asset(key=["gold", "users"])
def users() -> None: ...


@dg.asset(key=["raw", "users"])
def raw_users() -> None: ...
"""


def load(**changes: object) -> dg.Definitions:
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.scaffold_component(
            ScheduledJob,
            defs_path="nightly",
            defs_yaml_contents={"type": "terrane.components.ScheduledJob", "attributes": {**ATTRIBUTES, **changes}},
        )
        (folder.parent / "assets.py").write_text(ASSETS)
        with sandbox.build_all_defs() as defs:
            return defs


def test_the_job_holds_the_selected_assets_and_no_other() -> None:
    job = load().resolve_job_def("nightly")
    assert job.asset_layer.executable_asset_keys == {dg.AssetKey(["gold", "users"])}
    assert job.tags["domain"] == "example"


def test_the_schedule_is_switched_off_unless_the_file_says_otherwise() -> None:
    schedule = load().resolve_schedule_def("nightly_schedule")
    assert (schedule.cron_schedule, schedule.default_status) == ("0 3 * * *", dg.DefaultScheduleStatus.STOPPED)
    assert load(default_status="RUNNING").resolve_schedule_def("nightly_schedule").default_status.name == "RUNNING"


def test_an_unknown_attribute_is_refused() -> None:
    with pytest.raises(Exception, match="nightly") as refused:
        load(cron_string="0 3 * * *")
    assert "cron_string" in str(refused.value.__cause__)


def test_what_dg_scaffolds_loads() -> None:
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.scaffold_component(ScheduledJob, defs_path="every-night")
        (folder.parent / "assets.py").write_text(ASSETS)
        with sandbox.build_all_defs() as defs:
            assert len(set(defs.resolve_job_def("every_night").asset_layer.executable_asset_keys)) == 2
