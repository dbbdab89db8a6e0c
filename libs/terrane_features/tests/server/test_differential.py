"""Thousands of generated questions, asked of Feast's own server and of ours: the answers are the same.

Three differences are meant, and are what `agree` allows: our features stand in the order of the question, our statuses
tell what is missing, null and too old (stock says PRESENT to all of it), and ours refuses some values that stock
bends (2.5 as an integer, half of a composite key).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from feast.feature_server import get_app
from serving import SERVICES, TYPES, running, vectors

pytestmark = [pytest.mark.integration, pytest.mark.slow]
QUESTIONS = 2000
SEED = 20261121
VIEWS = {
    "everything": (["user_id"], list(TYPES)),
    "visits": (["user_id", "country_code"], ["visits", "a_text"]),
    "countries": (["country_code"], ["people", "area"]),
    "ages": (["age"], ["share", "label"]),
    "world": ([], ["total"]),
}
SERVICE_KEYS = {
    "all_of_it": ["user_id", "country_code"],
    "few": ["user_id", "country_code"],
    "two_countries": ["work_code", "home_code"],
    "on_demand": ["user_id", "factor"],
}


@pytest.fixture(scope="module")
def stock(served) -> Iterator[httpx.Client]:
    # A test before may have stopped Postgres, and with it the connections that the store keeps.
    for engine in (served.store.registry.read_engine, served.store.registry.write_engine):
        engine.dispose()
    with running(get_app(served.store, registry_ttl_sec=0)) as client:
        # It closes a connection on which it answered 500, without saying so.
        client.headers["connection"] = "close"
        yield client


def an_entity(key: str, chance: random.Random) -> Any:
    if key in {"user_id", "age"}:
        number = chance.choice([chance.randint(1, 40), chance.randint(-5, 60), 2**31 - 1, 18])
        return chance.choice([number, number, number, str(number), float(number)])
    if key in {"factor", "unread"}:
        return chance.randint(1, 9)
    return chance.choice(["de", "fr", "Côte d'Ivoire", "xx", "", 7, "7"])


def a_question(chance: random.Random) -> dict[str, Any]:
    question: dict[str, Any] = {"full_feature_names": chance.random() < 0.4}
    if chance.random() < 0.3:
        service = chance.choice(SERVICES).name
        question["feature_service"] = service
        keys = set(SERVICE_KEYS[service])
    else:
        views = chance.sample(list(VIEWS), chance.randint(1, 4))
        references = [
            f"{view}:{f}"
            for view in views
            for f in chance.sample(VIEWS[view][1], chance.randint(1, len(VIEWS[view][1])))
        ]
        chance.shuffle(references)
        question["features"] = references
        if len({reference.partition(":")[2] for reference in references}) < len(references):
            question["full_feature_names"] = chance.random() < 0.95
        keys = {key for view in views for key in VIEWS[view][0]} or {"unread"}
    if chance.random() < 0.1:
        question["include_feature_view_version_metadata"] = True
    rows = chance.choice([1, 1, 2, 3, 8, 30])
    question["entities"] = {
        key: [an_entity(key, chance) for _ in range(rows)] for key in chance.sample(sorted(keys), len(keys))
    }
    return spoiled(question, chance) if chance.random() < 0.15 else question


def spoiled(question: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The question with one thing wrong in it, or at least odd."""
    entities, references = question["entities"], question.get("features")
    key = chance.choice(list(entities))
    wrong = chance.choice(["key", "value", "length", "empty", "view", "feature", "service", "form", "extra", "twice"])
    if wrong == "key":
        entities[f"{key}_not"] = entities.pop(key)
    elif wrong == "value":
        if key != "unread":
            entities[key][0] = chance.choice([None, "one", [1], {"a": 1}]) if key in {"user_id", "age"} else [1]
    elif wrong == "length":
        entities[key].append(entities[key][0])
        entities.setdefault("another", ["x"])
    elif wrong == "empty":
        entities[key] = []
    elif wrong == "extra":
        entities["nothing_we_know"] = ["x"] * len(entities[key])
    elif wrong == "service" or not references:
        question["feature_service"] = "no_such_service"
    elif wrong == "twice":
        references.append(references[0])
    else:
        references.append({"view": "nowhere:total", "feature": "world:nothing", "form": "world"}[wrong])
    return question


def agree(question: dict[str, Any], stock: httpx.Response, ours: httpx.Response) -> None:
    if stock.status_code != 200:
        assert 400 <= ours.status_code < 500, (question, stock.text, ours.text)
        return
    if ours.status_code == 400 and refused_on_purpose(question):
        return
    assert ours.status_code == 200, (question, ours.text)
    theirs, mine = stock.json(), ours.json()
    assert sorted(mine["metadata"]["feature_names"]) == sorted(theirs["metadata"]["feature_names"]), question
    assert by_name(mine) == by_name(theirs), question
    expected, got = vectors(theirs), vectors(mine)
    for name, vector in got.items():
        assert vector["values"] == expected[name]["values"], (name, question)
        assert vector["event_timestamps"] == expected[name]["event_timestamps"], (name, question)
        for value, status in zip(vector["values"], vector["statuses"], strict=True):
            assert status in (
                {"PRESENT", "OUTSIDE_MAX_AGE"}
                if value is not None
                else {"NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE", "PRESENT"}
            )


def by_name(answer: dict[str, Any]) -> list[tuple[str, int]]:
    """The answer's versions, whose order is not stock's to promise."""
    return sorted(
        (view["name"], view.get("version", 0)) for view in answer["metadata"].get("feature_view_metadata", [])
    )


def refused_on_purpose(question: dict[str, Any]) -> bool:
    """Stock answers NOT_FOUND's nulls for half of a composite key, and bends lists and objects to text."""
    entities = question["entities"]
    return any(key.endswith("_not") for key in entities) or any(
        type(value) in {list, dict} for values in entities.values() for value in values
    )


def test_thousands_of_questions_are_answered_as_stock_answers_them(stock: httpx.Client, ours: httpx.Client) -> None:
    chance = random.Random(SEED)
    answered = 0
    for _ in range(QUESTIONS):
        question = a_question(chance)
        replies = [client.post("/get-online-features", json=question) for client in (stock, ours)]
        agree(question, *replies)
        answered += replies[0].status_code == replies[1].status_code == 200
    assert answered > QUESTIONS * 0.75
