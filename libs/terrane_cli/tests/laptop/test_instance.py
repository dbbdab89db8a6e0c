"""Dagster takes the instance that is written for it."""

from __future__ import annotations

import json

import pytest
from dagster._core.instance.config import dagster_instance_config

from terrane_cli.laptop.instance import write_instance
from terrane_cli.laptop.settings import Settings
from terrane_cli.project import Project

pytestmark = pytest.mark.unit


def test_dagster_finds_nothing_wrong_with_it(project: Project) -> None:
    home = write_instance(project, Settings.load(project))
    _, custom = dagster_instance_config(str(home))
    assert custom is None


def test_no_password_is_written_into_it(project: Project) -> None:
    settings = Settings.load(project)
    text = (write_instance(project, settings) / "dagster.yaml").read_text()
    assert not any(password in text for password in settings.passwords.values())


def test_every_location_has_its_code_server(project: Project) -> None:
    settings = Settings.load(project)
    workspace = json.loads((write_instance(project, settings) / "workspace.yaml").read_text())
    servers = {s["grpc_server"]["location_name"]: s["grpc_server"]["port"] for s in workspace["load_from"]}
    assert servers == {name: settings.ports[name] for name in project.locations}
