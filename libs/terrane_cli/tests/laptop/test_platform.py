"""A location that does not start stops itself alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from terrane_cli.laptop.instance import write_instance
from terrane_cli.laptop.platform import Platform
from terrane_cli.laptop.services import Service, Services
from terrane_cli.project import Project
from terrane_dev.servers.process import ServerFailed

pytestmark = pytest.mark.unit

SLEEP, FALSE = shutil.which("sleep") or "sleep", shutil.which("false") or "false"
ENDING = Service("soils", [FALSE], lambda: False)
STAYING = Service("hydrology", [SLEEP, "60"], lambda: True)


def test_the_others_start_and_why_it_did_not_is_told(project: Project) -> None:
    platform, told = Platform(project), []
    try:
        platform._start_all([ENDING, STAYING], told.append, alone=True)
        assert list(platform.supervisor.running()) == ["hydrology"]
    finally:
        platform.down()
    assert told[0].startswith("soils is left out: ")
    assert told[1] == "hydrology is up"


def test_a_store_that_does_not_start_stops_the_platform(project: Project) -> None:
    platform = Platform(project)
    try:
        with pytest.raises(ServerFailed, match="soils"):
            platform._start_all([ENDING, STAYING], lambda _: None)
    finally:
        platform.down()


def test_a_location_without_an_environment_is_told_and_not_started(project: Project) -> None:
    platform, told = Platform(project), []
    services = Services(project, platform.settings, write_instance(project, platform.settings))
    platform._start_locations(services.of_locations(), told.append)
    assert told == [
        f"{name} is left out: it has no environment, which `make setup` makes" for name in project.locations
    ]


def test_a_location_that_was_removed_is_stopped_and_forgotten(project: Project) -> None:
    platform = Platform(project)
    try:
        platform._start_all([STAYING], lambda _: None)
        assert platform.forget_removed() == []
        shutil.rmtree(project.location_folder("hydrology"))
        assert platform.forget_removed() == ["hydrology"]
        assert platform.supervisor.running() == {}
        assert "hydrology" not in platform.settings.ports
        assert not Path(project.state, "logs/hydrology.log").exists()
    finally:
        platform.down()


@pytest.mark.parametrize(
    ("said", "running"),
    [("kind: plain\n", []), ("kind: features\nfeature_server: true\n", ["feature-server"]), (":", ["feature-server"])],
)
def test_the_feature_server_goes_with_the_location_it_is_made_of(
    project: Project, said: str, running: list[str]
) -> None:
    """But not where what a location says cannot be read."""
    (project.location_folder("soils") / "location.yaml").write_text(said)
    platform = Platform(project)
    serving = Service("feature-server", STAYING.command, STAYING.ready)
    try:
        platform._start_all([serving], lambda _: None)
        shutil.rmtree(project.location_folder("hydrology"))
        assert platform.forget_removed() == ["hydrology"]
        assert list(platform.supervisor.running()) == running
    finally:
        platform.down()
