"""A master that is killed under load: 503 for as long as the others need to agree, and the same answers after it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from feast import FeatureStore
from redis_kinds import Failing, failing_cluster, failing_sentinels
from serving import DEFINITIONS, SETTINGS, fill, running, until, vectors

from terrane_features.server.app import App
from terrane_features.server.registry.watch import RegistryWatcher
from terrane_features.server.settings import read_settings

pytestmark = pytest.mark.integration
QUESTION = {"feature_service": "few", "entities": {"user_id": [*range(1, 21)], "country_code": ["de"] * 20}}
KINDS = {"redis_cluster": failing_cluster, "redis_sentinel": failing_sentinels}
# The others take the master for gone after 2 s, agree, and the replica takes over.
LONGEST_S = 15


@contextmanager
def served_from(served: Any, kind: str, store: Failing, folder: Path) -> Iterator[httpx.Client]:
    """The repository of the other tests, its rows in that store."""
    nodes = ",".join(f"127.0.0.1:{port}" for port in store.ports)
    online = f"""online_store:
  type: redis
  redis_type: {kind}
  connection_string: '{nodes},password="{store.password}"'
"""
    (folder / "feature_store.yaml").write_text(SETTINGS[: SETTINGS.index("online_store:")] + online)
    feast = FeatureStore(repo_path=str(folder))
    feast.apply(DEFINITIONS)
    fill(feast)
    settings = read_settings(folder, served.variables)
    with running(App(settings, RegistryWatcher(settings, 0.2))) as client:
        until(lambda: client.get("/ready").status_code == 200, 30)
        yield client


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_master_costs_its_own_failover_and_no_answer_is_wrong(served, kind: str, tmp_path: Path) -> None:
    with KINDS[kind]() as store, served_from(served, kind, store, tmp_path) as client:
        expected = vectors(client.post("/get-online-features", json=QUESTION).json())
        statuses: list[tuple[float, int]] = []
        os.kill(store.master.pid, signal.SIGKILL)
        began = time.monotonic()
        while len(statuses) < 20 or statuses[-20:] != [(at, 200) for at, _ in statuses[-20:]]:
            reply = client.post("/get-online-features", json=QUESTION)
            statuses.append((time.monotonic() - began, reply.status_code))
            assert reply.status_code in (200, 503), reply.text
            if reply.status_code == 200:
                assert vectors(reply.json()) == expected
            assert client.get("/health").status_code == 200
            assert time.monotonic() - began < LONGEST_S + 10, statuses[-3:]
            time.sleep(0.05)
        refused = [at for at, status in statuses if status == 503]
        assert refused, "the master's end was not noticed"
        assert max(refused) <= LONGEST_S
        assert client.get("/ready").json()["ready"]
