"""Our feature server as a process of its own, over a repository of the benchmark's stores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT
from terrane_dev.servers.process import free_port, stop

START_TIMEOUT_S = 120
FILL = """
import sys
from datetime import UTC, datetime
from feast import FeatureStore, repo_operations
from feast.repo_config import load_repo_config
from pathlib import Path
folder = Path(sys.argv[1])
repo_operations.apply_total(load_repo_config(folder, folder / "feature_store.yaml"), folder, False)
FeatureStore(repo_path=sys.argv[1]).materialize(datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
"""


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    port: int
    pid: int


def fill(folder: Path, environment: Mapping[str, str]) -> None:
    """`feast apply` and `feast materialize`, with our engine."""
    command = [sys.executable, "-c", FILL, str(folder)]
    done = subprocess.run(command, cwd=folder, env=dict(environment), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])


@contextmanager
def our_server(folder: Path, environment: Mapping[str, str]) -> Iterator[Served]:
    """Runs from its readiness to the end of the block."""
    port, log = free_port(), folder / "server.log"
    told = {**environment, "FEAST_REPO_PATH": str(folder), "FEATURE_SERVER_LOG_LEVEL": "error"}
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "terrane_features.server", "--port", str(port)]
        process = subprocess.Popen(command, env=told, stdout=sink, stderr=sink, cwd=folder)
    try:
        until = time.monotonic() + START_TIMEOUT_S
        while not _ready(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the server did not become ready: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield Served(port, process.pid)
        if process.poll() is not None:
            raise SystemExit(f"the server ended: {log.read_text()[-2000:]}")
    finally:
        stop(process)


def asked(module: str, *arguments: object) -> dict[str, Any]:
    """What a module of the benchmark prints as JSON, run as a process of its own."""
    command = [sys.executable, "-m", f"benchmarks.features.{module}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{module} failed: {done.stderr[-3000:]}")
    return json.loads(done.stdout)


def _ready(port: int) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/ready", timeout=5
        ) as response:
            return response.status == 200
    except OSError:
        return False
