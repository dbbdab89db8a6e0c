"""A platform that runs takes a new and a changed location by `make up`, and lets one go; the others run on."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.checkout import changes, copy_checkout, terrane

from terrane_cli.dagster_api import DagsterApi
from terrane_cli.laptop.settings import Settings
from terrane_cli.laptop.supervisor import Supervisor
from terrane_cli.project import Project
from terrane_dev.testing import temporary_server_folder

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# From the command that makes it to its asset in the UI, with packages in uv's cache; `make bench-locations` measures.
# A machine that does something else as well is given as many times longer as its load says, whatever this process'
# priority: at a load of 40 on two processors it took 137 s.
LIMIT_S = 60
PATIENCE_S = 600
KEY = "exports/atlas_numbers"
DESCRIBED = "query ($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) { description } }"


@pytest.fixture
def running(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A copy of the checkout whose platform runs, with its state in a folder of its own."""
    copy = copy_checkout(project, tmp_path / "checkout")
    with temporary_server_folder("location") as folder:
        # The servers' own account must pass through it.
        folder.chmod(0o755)
        monkeypatch.setenv("TERRANE_STATE", str(folder / "state"))
        try:
            _run(copy, "up")
            yield copy
        finally:
            terrane(copy, "down", TERRANE_STATE=str(folder / "state"))


def test_a_location_comes_changes_and_goes_while_the_others_run_on(running: Project) -> None:
    before, kept = _processes(running), _state(running)
    api = DagsterApi(Settings.load(running).url("webserver"))
    assert _described(api) is None

    began, load = time.monotonic(), os.getloadavg()[0]
    _run(running, "location", "atlas")
    _run(running, "up")
    assert _until(lambda: _described(api))
    seconds, load = time.monotonic() - began, max(load, os.getloadavg()[0])
    assert _processes(running).items() >= before.items()

    file = running.location_folder("atlas") / "src/atlas/defs/numbers.py"
    file.write_text(file.read_text().replace("The numbers from 1 to 10", "Ten numbers"))
    now = _processes(running)
    told = _run(running, "up")
    assert "atlas changed, and is loaded again" in told
    assert "analytics changed" not in told
    assert "Ten numbers" in _described(api)
    assert _processes(running) == now

    # `location-remove` does the same; make bench-locations has it.
    shutil.rmtree(running.location_folder("atlas"))
    assert "atlas: its code server is stopped" in _run(running, "locations")
    assert _until(lambda: _described(api) is None)
    assert _processes(running) == before
    assert _state(running) == kept
    assert changes(running.root, ignored=True) == set()
    assert seconds <= LIMIT_S * max(1, load), f"at a load of {load:.0f}"


def _run(copy: Project, *words: str) -> str:
    done = terrane(copy, *words, TERRANE_STATE=str(copy.state))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _described(api: DagsterApi) -> Any:
    """The asset's description as the UI has it; None where there is no such asset."""
    nodes = api.query(DESCRIBED, keys=[{"path": KEY.split("/")}])["assetNodes"]
    return nodes[0]["description"] if nodes else None


def _processes(copy: Project) -> dict[str, tuple[int, float]]:
    """The platform's processes, each with its pid and when it began."""
    found = Supervisor(copy.state / "run").running()
    return {name: (record.pid, psutil.Process(record.pid).create_time()) for name, record in found.items()}


def _state(copy: Project) -> set[str]:
    """What the platform keeps of its locations: records, logs, ports, the workspace."""
    names = {f"{folder}/{p.name}" for folder in ("run", "logs", "loaded") for p in (copy.state / folder).iterdir()}
    return names | {f"port of {name}" for name in Settings.load(copy).ports}


def _until(there: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    end = time.monotonic() + seconds
    while not (found := there()) and time.monotonic() < end:
        time.sleep(0.5)
    return found
