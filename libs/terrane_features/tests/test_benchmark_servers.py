"""A benchmark that is told to end leaves no server behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
PROGRAM = """
import time
from benchmarks.features.stores import stores
with stores() as both:
    print(*both.pids(), flush=True)
    time.sleep(60)
"""


def test_sigterm_ends_the_servers_of_a_benchmark() -> None:
    benchmark = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert benchmark.stdout is not None
    servers = [Path("/proc", pid) for pid in benchmark.stdout.readline().split()]
    try:
        assert len(servers) == 2
        benchmark.send_signal(signal.SIGTERM)
        assert benchmark.wait(30) == 128 + signal.SIGTERM
        until = time.monotonic() + 10
        while alive := [server for server in servers if server.exists()]:
            assert time.monotonic() < until, alive
            time.sleep(0.1)
    finally:
        for server in servers:
            if server.exists():
                os.kill(int(server.name), signal.SIGKILL)
