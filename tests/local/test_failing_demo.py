"""A demo that cannot come to its end says why, where, and what to do next, and exits 1."""

from __future__ import annotations

import json
import os
import re

import obstore
import pytest
from obstore.store import LocalStore
from tests.local.conftest import platform_of_its_own, terrane

from terrane.object_store import LANDING_ZONE
from terrane_cli.demo.sample import deliver
from terrane_cli.laptop.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_a_stage_that_fails_names_the_run_the_step_and_the_error() -> None:
    with platform_of_its_own("failing") as project:
        landing_zone = LocalStore(prefix=project.state / "objects" / LANDING_ZONE, mkdir=True)
        delivery = deliver(landing_zone, project.root / "samples/natural_earth")
        manifest = json.loads(bytes(obstore.get(landing_zone, delivery.manifest_key).bytes()))
        manifest["files"][0]["sha256"] = "0" * 64
        obstore.put(landing_zone, delivery.manifest_key, json.dumps(manifest).encode())
        done = terrane(project, os.environ, "demo", "--once")
        ui = Settings.load(project).url("webserver")
    assert done.returncode == 1
    told = done.stdout
    assert "spatial: load, transform, publish a batch failed" in told
    run = re.search(r"run    ([0-9a-f-]{36})", told)
    assert run
    assert f"{ui}/runs/{run[1]}" in told
    assert re.search(r"step   \S*load", told)
    assert re.search(r"error  .*SHA-256", told)


def test_a_process_that_does_not_start_is_named_with_the_end_of_its_log() -> None:
    with platform_of_its_own("unstarted") as project:
        settings = Settings.load(project)
        settings.first_day = "yesterday"
        settings.save(project)
        done = terrane(project, os.environ, "demo", "--once")
    assert done.returncode == 1
    assert re.search(r"source ended with code \d+: .*yesterday", done.stdout)
    assert "source.log" in done.stdout
