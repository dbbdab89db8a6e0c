"""An online store that is no Redis: Feast's own code answers everything, inside the same server and behind its keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from feast import FeatureStore
from serving import DEFINITIONS, SETTINGS, fill, running, until, vectors

from terrane_features.server.app import App
from terrane_features.server.fallback import FeastFallback
from terrane_features.server.registry.catalog import Catalog
from terrane_features.server.registry.watch import RegistryWatcher
from terrane_features.server.settings import Access, read_settings

pytestmark = pytest.mark.integration
QUESTIONS = [
    {"features": ["countries:people", "countries:area"], "entities": {"country_code": ["de", "fr", "nowhere"]}},
    {"feature_service": "few", "entities": {"user_id": [1, 2], "country_code": ["de", "fr"]}},
    {"features": ["derived:scaled"], "entities": {"user_id": [1, 2], "factor": [2, 3]}},
]
KEY = {"authorization": "Bearer a-key"}


@pytest.fixture(scope="module")
def in_sqlite(served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("in_sqlite")
    at = SETTINGS.index("online_store:")
    online = f"online_store: {{type: sqlite, path: {folder / 'online.db'}}}\n"
    (folder / "feature_store.yaml").write_text(SETTINGS[:at] + online)
    store = FeatureStore(repo_path=str(folder))
    store.apply(DEFINITIONS)
    fill(store)
    settings = replace(read_settings(folder, served.variables), access=Access(api_keys=("a-key",)))
    assert settings.fallback_reason == "the online store is sqlite, not Redis"
    with running(App(settings, RegistryWatcher(settings, 0.2))) as client:
        until(lambda: client.get("/ready").json()["feature_views"] > 0, 30)
        yield client


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_values_are_those_that_redis_would_serve(in_sqlite: httpx.Client, ours: httpx.Client, question) -> None:
    mine = in_sqlite.post("/get-online-features", json=question, headers=KEY)
    theirs = ours.post("/get-online-features", json=question)
    assert (mine.status_code, theirs.status_code) == (200, 200), mine.text + theirs.text
    values, expected = ({n: r["values"] for n, r in vectors(a.json()).items()} for a in (mine, theirs))
    assert values == expected


def test_keys_limits_and_refusals_are_those_of_the_same_server(in_sqlite: httpx.Client) -> None:
    def status(question: dict, headers: dict[str, str] = KEY) -> int:
        return in_sqlite.post("/get-online-features", json=question, headers=headers).status_code

    people = ["countries:people"]
    assert status(QUESTIONS[0], {}) == 401
    assert status({"features": people, "entities": {"country_code": ["de"] * 5001}}) == 422
    assert status({"features": ["countries:nope"], "entities": {"country_code": ["de"]}}) in (400, 404)
    assert status({"features": ["nope:nope"], "entities": {"country_code": ["de"]}}) == 404
    assert in_sqlite.get("/ready").json()["ready"]


def test_feast_is_made_ready_for_a_registry_that_would_not_need_it(in_sqlite: httpx.Client, served) -> None:
    plain = Catalog("served")
    assert not plain.needs_feast
    for answers_all in (False, True):
        fallback = FeastFallback(served.folder, answers_all=answers_all)
        fallback.prepare(plain)
        assert fallback.prepared == answers_all
        fallback.close()
