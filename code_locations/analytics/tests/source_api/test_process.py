"""The sample source as a process, as the platform starts it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from terrane_dev.servers.process import free_port

pytestmark = pytest.mark.unit

SAMPLES = Path(__file__).parents[4] / "samples"
COMMAND = [sys.executable, "-m", "source_api", "--first-day", "2026-01-01"]


def environment(**more):
    return {name: value for name, value in os.environ.items() if name != "API_KEY"} | more


def test_it_answers_and_ends_well_when_told_to():
    port = free_port()
    entries: dict[str, object] = {}
    process = subprocess.Popen([*COMMAND, "--port", str(port)], cwd=SAMPLES, env=environment(API_KEY="k"))
    try:
        for _ in range(100):
            try:
                entries = httpx.get(
                    f"http://127.0.0.1:{port}/v1/journal-entries",
                    params={"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"},
                    headers={"X-API-Key": "k"},
                ).json()
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        assert entries["window_total"] == 3800
    finally:
        process.terminate()
    assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("variables", "arguments", "message"),
    [
        ({}, [], "API_KEY is not set; it is the key that callers must send"),
        ({"API_KEY": "k"}, ["--places", "nowhere.txt"], "no place names in nowhere.txt"),
        ({"API_KEY": "k"}, ["--first-day", "soon"], "argument --first-day: invalid"),
    ],
)
def test_what_it_lacks_is_said(variables, arguments, message):
    command = [*COMMAND, "--port", str(free_port()), *arguments]
    done = subprocess.run(command, cwd=SAMPLES, env=environment(**variables), capture_output=True, text=True)
    assert done.returncode != 0
    assert message in done.stderr
