"""What was started is stopped by its pid, with its children, and nobody else is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from terrane_cli.laptop.supervisor import Record, Supervisor

pytestmark = pytest.mark.unit

SLEEP = "import time; time.sleep(60)"
FAMILY = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', '{SLEEP}']); {SLEEP}"


def test_a_process_goes_with_the_children_it_started(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    parent = subprocess.Popen([sys.executable, "-c", FAMILY])
    supervisor.remember("location", parent.pid, tmp_path / "log", 4000)
    children = _wait_for_children(parent.pid)
    assert supervisor.stop_all() == ["location"]
    parent.wait(5)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert supervisor.records() == []


def test_a_pid_that_the_system_gave_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    stranger = subprocess.Popen([sys.executable, "-c", SLEEP])
    record = Record("location", stranger.pid, psutil.Process(stranger.pid).create_time() - 100, "log")
    (tmp_path / "location.json").write_text(json.dumps(asdict(record)))
    assert supervisor.running() == {}
    assert supervisor.stop_all() == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_process_that_ended_by_itself_is_remembered_as_ended(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    supervisor.remember("location", process.pid, tmp_path / "log", None)
    process.wait()
    assert [r.name for r in supervisor.records()] == ["location"]
    assert supervisor.running() == {}


def test_stores_are_stopped_after_those_who_write_to_them(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "run")
    order = tmp_path / "order"
    processes = []
    for name in ("redis", "webserver"):
        code = (
            "import signal, sys, time\n"
            f"def note(*_): open({str(order)!r}, 'a').write('{name} '); sys.exit()\n"
            "signal.signal(signal.SIGTERM, note); signal.signal(signal.SIGINT, note)\n"
            f"open({str(tmp_path / name)!r}, 'w').close(); time.sleep(60)"
        )
        processes.append(subprocess.Popen([sys.executable, "-c", code]))
        supervisor.remember(name, processes[-1].pid, tmp_path / "log", None)
        while not (tmp_path / name).exists():
            time.sleep(0.02)
    assert set(supervisor.stop_all()) == {"redis", "webserver"}
    assert order.read_text().split() == ["webserver", "redis"]
    for process in processes:
        process.wait(5)


def _wait_for_children(pid: int) -> list[psutil.Process]:
    for _ in range(100):
        if children := psutil.Process(pid).children():
            return children
        time.sleep(0.05)
    raise AssertionError("the child did not start")
