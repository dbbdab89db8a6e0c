"""The server as a process: what it imports, how soon it answers, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import pytest
from redis import Redis
from serving import until

from terrane_dev.servers.process import free_port

pytestmark = pytest.mark.integration
QUESTION = {"features": ["countries:people"], "entities": {"country_code": ["de"]}}
IMPORTS = """
import sys
import terrane_features.server.__main__, terrane_features.server.app
import terrane_features.server.registry.watch, terrane_features.server.auth
print(*sorted({name.partition('.')[0] for name in sys.modules} & {'feast', 'dagster', 'pandas', 'numpy', 'fastapi'}))
"""


@contextmanager
def process(served, log: Path, **variables: str) -> Iterator[tuple[subprocess.Popen, httpx.Client]]:
    port = free_port()
    environment = os.environ | served.variables | {"FEAST_REPO_PATH": str(served.folder)} | variables
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "terrane_features.server", "--port", str(port)]
        started = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink, cwd=log.parent)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:

            def answers() -> bool:
                assert started.poll() is None, log.read_text()
                try:
                    return client.post("/get-online-features", json=QUESTION).status_code == 200
                except httpx.HTTPError:
                    return False

            until(answers, 60)
            yield started, client
    finally:
        started.kill()
        started.wait()


def test_nothing_heavy_is_imported_to_serve() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_what_is_under_way_at_sigterm_is_answered_and_then_it_ends(served, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with process(served, log) as (started, client):
        answers: list[int] = []
        redis = served.settings.store
        with Redis(port=redis.nodes[0][1], password=redis.password) as other:
            other.execute_command("CLIENT", "PAUSE", "1200")

        def ask() -> None:
            answers.append(client.post("/get-online-features", json=QUESTION).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.4)
        assert answers == []
        started.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{client.base_url}/health", trust_env=False)
        asking.join(10)
        assert answers == [200]
        assert started.wait(10) in (0, -signal.SIGTERM)
    lines = [orjson.loads(line) for line in log.read_text().splitlines()]
    assert any(line["message"] == "the registry is read, 6 feature views" for line in lines)
    assert not any(secret in log.read_text() for secret in (redis.password, served.warehouse.password))


def test_it_stays_up_on_a_file_system_it_may_not_write(served, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    with process(served, tmp_path / "server.log", HOME="/nowhere", PYTHONDONTWRITEBYTECODE="1") as (_, client):
        assert client.get("/ready").status_code == 200
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "server.log"}
