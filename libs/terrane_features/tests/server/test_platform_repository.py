"""The feature server over the platform's own repository: what it answers, and what it survives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import running, until

from terrane_dev.servers.process import free_port
from terrane_dev.testing import PostgresServer, RedisServer
from terrane_features.feast_internals import apply_all
from terrane_features.registry.state import only_writer
from terrane_features.server.app import App
from terrane_features.server.registry.watch import RegistryWatcher
from terrane_features.server.settings import read_settings

pytestmark = pytest.mark.integration
REPOSITORY = Path(__file__).parents[4] / "feast_repo"
REFRESH_S = 0.2
VIEW = "user_journal_features"


def application(stores) -> App:
    settings = read_settings(stores.feast.folder)
    return App(settings, RegistryWatcher(settings, REFRESH_S))


@pytest.fixture
def server(stores) -> Iterator[httpx.Client]:
    with running(application(stores)) as client:
        yield client


def ready(server: httpx.Client) -> bool:
    return server.get("/ready").status_code == 200


def ask(server: httpx.Client, **question: Any) -> httpx.Response:
    return server.post("/get-online-features", json=question, timeout=30)


def table(response: httpx.Response) -> dict[str, list]:
    answer = response.json()
    names = answer["metadata"]["feature_names"]
    return {name: result["values"] for name, result in zip(names, answer["results"], strict=True)}


def test_it_starts_before_anything_is_applied_and_serves_what_is_applied_later(stores, server: httpx.Client) -> None:
    until(lambda: ready(server))
    assert server.get("/ready").json()["feature_views"] == 0
    answer = ask(server, feature_service="analyzer", entities={"user_id": [1]})
    assert (answer.status_code, answer.json()) == (
        503,
        {"detail": "no definitions have been applied yet: materialise feast/registry"},
    )
    stores.run()
    until(lambda: server.get("/ready").json()["feature_views"] == 1)
    assert table(ask(server, feature_service="analyzer", entities={"user_id": [1, 2]})) == stores.online(1, 2)


def test_a_definition_applied_later_is_served_without_a_restart(stores, server: httpx.Client) -> None:
    stores.run()
    until(lambda: server.get("/ready").json()["feature_views"] == 1)
    stores.edit("user_journal.py", 'name="analyzer"', 'name="analyzer_two"')
    assert ask(server, feature_service="analyzer_two", entities={"user_id": [1]}).status_code == 404
    stores.run(allow_deletions=True)
    until(lambda: ask(server, feature_service="analyzer_two", entities={"user_id": [1]}).status_code == 200)
    until(lambda: ask(server, feature_service="analyzer", entities={"user_id": [1]}).status_code == 404)


def test_the_canary_reads_through_it(stores, server: httpx.Client) -> None:
    result = stores.run(url=str(server.base_url))
    (read_back,) = [e for e in result.get_asset_check_evaluations() if e.check_name.startswith("feature_server")]
    assert read_back.passed
    assert str(read_back.metadata["asked"].value).startswith("http://127.0.0.1")
    assert read_back.metadata["entities"].value == 5


def test_it_says_what_nobody_has_applied_yet_and_what_is_missing(stores) -> None:
    with running(application(stores)) as client:
        until(lambda: ready(client))
        question = {"features": [f"{VIEW}:is_active"], "entities": {"user_id": [1]}}
        assert "materialise feast/registry" in ask(client, **question).json()["detail"]
        with only_writer(stores.warehouse, "terrane"):
            contents = stores.feast.contents()
            apply_all(stores.feast.store(), contents)
        until(lambda: client.get("/ready").json()["feature_views"] == 1)
        answer = ask(client, **question).json()
        assert [result["statuses"] for result in answer["results"]] == [["PRESENT"], ["NOT_FOUND"]]


def test_definitions_are_not_read_while_they_are_written(stores, server: httpx.Client) -> None:
    """A copy made in mid-apply holds views without their entities. A server that knows nothing yet takes what is there,
    so this one has looked once."""
    until(lambda: ready(server))
    with only_writer(stores.warehouse, "terrane"):
        contents = stores.feast.contents()
        apply_all(stores.feast.store(), contents)
        time.sleep(5 * REFRESH_S)
        assert server.get("/ready").json()["feature_views"] == 0
    until(lambda: server.get("/ready").json()["feature_views"] == 1)


def test_an_unknown_user_has_no_values_and_no_event_time(stores, server: httpx.Client) -> None:
    stores.run()
    until(lambda: server.get("/ready").json()["feature_views"] == 1)
    answer = ask(server, features=[f"{VIEW}:entries_total"], entities={"user_id": [1, 999_999]})
    assert table(answer)["entries_total"] == [3, None]
    assert answer.json()["results"][1]["event_timestamps"][1] == "1970-01-01T00:00:00Z"


def test_only_reading_paths_exist(stores, server: httpx.Client) -> None:
    for path in ("/push", "/write-to-online-store", "/materialize", "/materialize-incremental", "/chat", "/"):
        assert (path, server.post(path, json={}).status_code, server.get(path).status_code) == (path, 404, 404)


def test_without_redis_it_lives_but_is_not_ready_and_recovers(
    stores, server: httpx.Client, redis_server: RedisServer
) -> None:
    stores.run()
    until(lambda: server.get("/ready").json()["feature_views"] == 1)
    redis_server.stop()
    try:
        answer = server.get("/ready", timeout=20)
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert answer.json()["problem"].startswith(f"Redis at 127.0.0.1:{redis_server.port}")
        assert server.get("/health").status_code == 200
        began = time.monotonic()
        answer = ask(server, features=[f"{VIEW}:is_active"], entities={"user_id": [1]})
        assert time.monotonic() - began < 3
        assert (answer.status_code, answer.json()["detail"]) == (
            503,
            "the online store does not answer; retry in a moment",
        )
    finally:
        redis_server.start()
    until(lambda: ready(server))
    assert table(ask(server, features=[f"{VIEW}:is_active"], entities={"user_id": [1, 2]}))["is_active"] == [
        False,
        True,
    ]


def test_a_redis_that_was_restarted_between_two_requests_costs_neither(
    stores, server: httpx.Client, redis_server: RedisServer
) -> None:
    stores.run()
    until(lambda: server.get("/ready").json()["feature_views"] == 1)
    question = {"features": [f"{VIEW}:is_active"], "entities": {"user_id": [1, 2]}}
    assert ask(server, **question).status_code == 200
    redis_server.stop()
    redis_server.start()
    assert table(ask(server, **question))["is_active"] == [False, True]


def test_without_the_warehouse_it_serves_what_it_knows_and_catches_up(
    stores, server: httpx.Client, postgres_server: PostgresServer
) -> None:
    stores.run()
    until(lambda: server.get("/ready").json()["feature_views"] == 1)
    postgres_server.stop()
    try:
        until(lambda: server.get("/ready").json()["registry_problem"] is not None)
        assert ready(server)
        began = time.monotonic()
        assert table(ask(server, feature_service="analyzer", entities={"user_id": [1]}))["entries_total"] == [3]
        assert time.monotonic() - began < 1
    finally:
        postgres_server.start()
    stores.edit("user_journal.py", 'name="analyzer"', 'name="analyzer_two"')
    stores.run(allow_deletions=True)
    until(lambda: ask(server, feature_service="analyzer_two", entities={"user_id": [1]}).status_code == 200)
    assert server.get("/ready").json()["registry_problem"] is None


@pytest.mark.slow
def test_the_command_serves_from_its_own_process_and_ends_at_sigterm(stores, tmp_path) -> None:
    stores.run()
    port = free_port()
    environment = {**os.environ, "FEAST_REPO_PATH": stores.feast.repo_path}
    command = [sys.executable, "-m", "terrane_features.server", "--port", str(port)]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            def serves() -> bool:
                assert process.poll() is None, (tmp_path / "server.log").read_text()
                try:
                    return client.get("/ready").json()["feature_views"] == 1
                except httpx.HTTPError:
                    return False

            until(serves, timeout_s=60)
            assert table(ask(client, feature_service="analyzer", entities={"user_id": [1, 2]})) == stores.online(1, 2)
    finally:
        process.terminate()
    assert process.wait(20) in (0, -15)
    text = (tmp_path / "server.log").read_text()
    assert "the registry is read, 1 feature views" in text
    assert stores.feast.online_store().password not in text
    assert stores.warehouse.password not in text


def test_the_command_names_the_variables_it_lacks(tmp_path) -> None:
    unset = {"FEAST_REPO_PATH", "REDIS_HOST", "REDIS_PORT"}
    environment = {k: v for k, v in os.environ.items() if k not in unset}

    def said(**variables: str) -> str:
        command = [sys.executable, "-m", "terrane_features.server"]
        done = subprocess.run(command, env=environment | variables, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 2
        return done.stderr

    assert "feature_store.yaml does not exist: set FEAST_REPO_PATH to the folder that holds it" in said()
    lacking = said(FEAST_REPO_PATH=str(REPOSITORY))
    assert "REDIS_HOST" in lacking
    assert "REDIS_PORT" in lacking
    assert "which the environment lacks: set them and retry" in lacking
