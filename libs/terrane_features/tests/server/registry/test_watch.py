"""New definitions are served without a restart and without a pause; a registry that cannot be read changes nothing."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

import httpx
import orjson
import pytest
from feast import FeatureService
from serving import COUNTRIES, running, until

from terrane_features.server.app import App
from terrane_features.server.logs import JsonLines
from terrane_features.server.registry.watch import RegistryWatcher

pytestmark = pytest.mark.integration
QUESTION = {"features": ["countries:people"], "entities": {"country_code": ["de"]}}


def test_a_new_service_is_served_without_a_pause_and_a_removed_one_no_more(served, ours: httpx.Client) -> None:
    slowest, done = [0.0], threading.Event()

    def keep_asking() -> None:
        with httpx.Client(base_url=ours.base_url, trust_env=False) as client:
            while not done.is_set():
                began = time.perf_counter()
                assert client.post("/get-online-features", json=QUESTION).status_code == 200
                slowest[0] = max(slowest[0], time.perf_counter() - began)

    def asked() -> int:
        question = {"feature_service": "later", "entities": QUESTION["entities"]}
        return ours.post("/get-online-features", json=question).status_code

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        assert asked() == 404
        served.store.apply([FeatureService(name="later", features=[COUNTRIES])])
        until(lambda: asked() == 200)
        served.store.delete_feature_service("later")
        until(lambda: asked() == 404)
    finally:
        done.set()
        asking.join(10)
    # Feast applies in this same process meanwhile, and this machine may be busy.
    assert slowest[0] < 1


def test_a_registry_that_goes_away_changes_nothing_but_its_age(served) -> None:
    settings = served.settings
    watch = RegistryWatcher(settings, 0.05)
    with running(App(settings, watch)) as client:
        until(lambda: client.get("/ready").status_code == 200)
        watch._settings = replace(settings, registry="postgresql://nobody@127.0.0.1:1/none")
        until(lambda: client.get("/ready").json()["registry_problem"] is not None)
        state = client.get("/ready").json()
        assert (state["ready"], state["feature_views"]) == (True, 6)
        assert "127.0.0.1" in state["registry_problem"]
        assert client.post("/get-online-features", json=QUESTION).status_code == 200
        assert "feature_server_registry_failures 0.0" not in client.get("/metrics").text
        watch._settings = settings
        until(lambda: client.get("/ready").json()["registry_problem"] is None)


def test_a_record_nobody_can_read_leaves_the_old_definitions_in_place(served) -> None:
    settings = served.settings
    with running(served.app()) as client:
        until(lambda: client.get("/ready").status_code == 200)
        change = "update feast.feature_views set feature_view_proto = %s where feature_view_name = 'ages'"
        with served.warehouse.connect(autocommit=True) as connection:
            row = connection.execute(
                "select feature_view_proto from feast.feature_views where feature_view_name = 'ages'"
            ).fetchone()
            assert row
            try:
                connection.execute(change, [b"\x0a\xff\xff\xff\xff\xff"])
                until(lambda: client.get("/ready").json()["registry_problem"] is not None)
                assert client.post("/get-online-features", json=QUESTION).status_code == 200
            finally:
                connection.execute(change, [row[0]])
        until(lambda: client.get("/ready").json()["registry_problem"] is None)
    assert settings.project == "served"


def test_an_emptied_redis_is_not_ready_though_it_answers(served, redis_server) -> None:
    with running(
        App(
            replace(served.settings, store=served.settings.store.with_options(db=9)),
            RegistryWatcher(served.settings, 0.2),
        )
    ) as c:
        until(lambda: "Redis lacks rows of" in str(c.get("/ready").json()["problem"]))
        state = c.get("/ready")
        assert state.status_code == 503
        assert "countries" in state.json()["problem"]


def test_a_canary_that_dies_is_followed_by_another(served, ours: httpx.Client) -> None:
    from redis import Redis

    with running(app := served.app()) as client:
        until(lambda: client.get("/ready").json()["canary"] is not None)
        key, view = app._readiness._found or (b"", "")
        with Redis(port=served.settings.store.nodes[0][1], password=served.settings.store.password, db=2) as redis:
            row = redis.hgetall(key)  # pyright: ignore[reportArgumentType]
            redis.delete(key)
            try:
                assert client.get("/ready").json()["canary"] is not None
                assert app._readiness._found != (key, view)
            finally:
                redis.hset(key, mapping=row)  # pyright: ignore[reportArgumentType]


def test_a_key_of_redis_that_is_no_hash_is_a_503_and_named_in_the_log(
    served, ours: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    from redis import Redis

    from terrane_features.online_store.format import STRING, key_prefix

    key = key_prefix(["country_code"]) + STRING.to_bytes(4, "little") + b"\x03\0\0\0zzz" + b"served"
    with Redis(port=served.settings.store.nodes[0][1], password=served.settings.store.password, db=2) as redis:
        redis.set(key, "no hash")
        try:
            question = {"features": ["countries:people"], "entities": {"country_code": ["zzz"]}}
            answer = ours.post("/get-online-features", json=question)
        finally:
            redis.delete(key)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"detail": "the online store does not answer; retry in a moment"}
    assert "WRONGTYPE" in caplog.text


def test_refusals_are_logged_as_json_lines_without_the_entities_values(
    ours: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for key, value in (("age", "secret-person"), ("age", None)):
        ours.post("/get-online-features", json={"features": ["ages:label"], "entities": {key: [value]}})
    on_demand = {"features": ["derived:scaled"], "entities": {"user_id": ["secret-person"], "factor": [1]}}
    assert ours.post("/get-online-features", json=on_demand).status_code == 400
    lines = [orjson.loads(JsonLines().format(record)) for record in caplog.records]
    refused = [line for line in lines if line["message"].startswith("refused: ")]
    assert [line["status"] for line in refused] == [400, 400, 400]
    assert refused[0]["message"] == "refused: entities.age[0] is refused"
    assert {"time", "level", "logger"} <= set(refused[0])
    assert "secret-person" not in str(lines)
    record = logging.makeLogRecord({"msg": "x", "exc_info": (ValueError, ValueError("why"), None)})
    assert "ValueError: why" in orjson.loads(JsonLines().format(record))["exception"]
