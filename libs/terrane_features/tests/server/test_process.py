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


@pytest.mark.slow
def test_stock_comes_back_with_one_variable_and_answers_the_same(served, ours: httpx.Client, tmp_path: Path) -> None:
    names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "DB": "database"}
    stores = {f"WAREHOUSE_{name}": getattr(served.warehouse, field) for name, field in names.items()}
    stores |= {"REDIS_HOST": "127.0.0.1", "REDIS_DB": "2", "FEATURE_SERVER_STOCK": "1"}
    with process(served, tmp_path / "server.log", **stores) as (_, client):
        stock, mine = (one.post("/get-online-features", json=QUESTION).json() for one in (client, ours))
        assert stock == mine
        assert client.get("/ready").json()["ready"]
        assert client.get("/metrics").status_code == 404
    assert "Feast's own server answers, because FEATURE_SERVER_STOCK is set" in (tmp_path / "server.log").read_text()


def test_stock_does_not_start_where_keys_are_asked_for(served, tmp_path: Path) -> None:
    variables = {"FEATURE_SERVER_STOCK": "1", "FEATURE_SERVER_API_KEYS": "key", "FEAST_REPO_PATH": str(served.folder)}
    environment = os.environ | served.variables | variables
    done = subprocess.run(
        [sys.executable, "-m", "terrane_features.server"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Feast's own server asks for no key: unset FEATURE_SERVER_STOCK" in done.stderr
