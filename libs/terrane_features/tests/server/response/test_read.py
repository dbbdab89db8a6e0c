"""What our server answers beyond what stock does: order, statuses, and what Feast's own code and clients make of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from feast import FeatureStore
from feast.errors import FeatureViewNotFoundException
from serving import STALE, TYPES, vectors

pytestmark = pytest.mark.integration


def ask(client: httpx.Client, **question: Any) -> httpx.Response:
    return client.post("/get-online-features", json=question)


def answered(client: httpx.Client, **question: Any) -> dict[str, dict[str, list[Any]]]:
    response = ask(client, **question)
    assert response.status_code == 200, response.text
    return vectors(response.json())


def test_features_stand_in_the_order_of_the_question_whatever_their_views(ours: httpx.Client) -> None:
    wanted = ["visits:visits", "everything:an_int", "countries:area", "everything:a_flag", "countries:people"]
    entities = {"country_code": ["de"], "user_id": [1]}
    answer = ask(ours, features=wanted, entities=entities).json()
    assert answer["metadata"]["feature_names"] == [
        "country_code",
        "user_id",
        "visits",
        "an_int",
        "area",
        "a_flag",
        "people",
    ]
    answer = ask(ours, feature_service="few", entities=entities, full_feature_names=True).json()
    assert answer["metadata"]["feature_names"][2:] == ["visits__visits", "everything__a_text", "everything__an_int"]


def test_a_null_a_missing_feature_and_a_missing_entity_are_told_apart(ours: httpx.Client) -> None:
    got = answered(ours, features=["everything:a_text", "everything:an_int"], entities={"user_id": [1, 3, 4, 999]})
    assert got["a_text"]["statuses"] == ["PRESENT", "NOT_FOUND", "NULL_VALUE", "NOT_FOUND"]
    assert got["an_int"]["statuses"] == ["PRESENT", "PRESENT", "NULL_VALUE", "NOT_FOUND"]
    assert [v is None for v in got["an_int"]["values"]] == [False, False, True, True]
    assert got["an_int"]["event_timestamps"][3] == "1970-01-01T00:00:00Z"


def test_an_event_older_than_the_views_ttl_is_outside_max_age_and_keeps_its_value(ours: httpx.Client) -> None:
    entities = {"user_id": [2, 3, 99], "country_code": ["fr", "fr", "fr"]}
    got = answered(ours, features=["visits:visits", "countries:people"], entities=entities)
    assert got["visits"]["statuses"] == ["PRESENT", "OUTSIDE_MAX_AGE", "NOT_FOUND"]
    assert got["visits"]["values"] == [2, 3, None]
    assert got["visits"]["event_timestamps"][1] == f"{STALE:%Y-%m-%dT%H:%M:%S}Z"
    assert got["people"]["statuses"] == ["PRESENT"] * 3


def test_a_view_may_be_asked_by_its_entitys_name(ours: httpx.Client) -> None:
    got = answered(ours, features=["ages:label"], entities={"age_group": [18, "-1"]})
    assert (got["label"]["values"], got["age"]["values"]) == (["18", "-1"], [18, -1])


def test_on_demand_views_are_answered_by_feast_in_the_order_of_the_question(ours: httpx.Client) -> None:
    question = {"features": ["derived:scaled", "everything:an_int"], "entities": {"user_id": [3, 6], "factor": [2, 10]}}
    got = answered(ours, **question)
    assert list(got)[-2:] == ["scaled", "an_int"]
    assert got["scaled"]["values"] == pytest.approx([2, 20])
    assert got["an_int"]["values"] == [-(3**9), 6**9]
    refused = ask(ours, **question | {"entities": {"user_id": [3]}})
    assert (refused.status_code, "factor" in refused.text) == (404, True)


def test_many_at_once_get_each_their_own_answer(ours: httpx.Client) -> None:
    def one(user: int) -> bool:
        got = answered(ours, features=["everything:an_int"], entities={"user_id": [user] * (1 + user % 50)})
        return set(got["an_int"]["values"]) == {(-1) ** user * user**9 if user not in NULLS else None}

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, [user for user in range(1, 41) for _ in range(10)]))


NULLS = set(range(4, 41, 4))


def test_stock_feasts_remote_client_reads_it(served, ours: httpx.Client, tmp_path) -> None:
    settings = (served.folder / "feature_store.yaml").read_text()
    head, _, _ = settings.partition("online_store:")
    (tmp_path / "feature_store.yaml").write_text(f"{head}online_store: {{type: remote, path: '{ours.base_url}'}}\n")
    store = FeatureStore(repo_path=str(tmp_path))
    rows = [{"user_id": 1}, {"user_id": 2}]
    references = ["everything:an_int", "everything:a_text", "everything:texts"]
    assert (
        store.get_online_features(features=references, entity_rows=rows).to_dict()
        == served.store.get_online_features(features=references, entity_rows=rows).to_dict()
    )
    with pytest.raises((FeatureViewNotFoundException, RuntimeError), match="nowhere"):
        store.get_online_features(features=["nowhere:x"], entity_rows=rows)


def test_every_type_is_answered_at_once_and_by_a_thousand(ours: httpx.Client) -> None:
    references = [f"everything:{name}" for name in TYPES]
    got = answered(ours, features=references, entities={"user_id": [1 + n % 60 for n in range(1000)]})
    alone = answered(ours, features=references, entities={"user_id": [7]})
    assert all(vector["values"][6] == alone[name]["values"][0] for name, vector in got.items())
    assert all(vector["statuses"][40] == "NOT_FOUND" for name, vector in got.items() if name != "user_id")


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"features": ["world:total"]}, 422, '"loc":["body","entities"]'),
    ({"features": ["world:total"], "entities": []}, 422, '"loc":["body","entities"]'),
    ({"features": ["world:total"], "entities": {}}, 422, "no join key is given"),
    ({"features": "world:total", "entities": {"user_id": [1]}}, 422, '"loc":["body","features"]'),
    ({"features": ["world:total", 7], "entities": {"user_id": [1]}}, 422, '"loc":["body","features",1]'),
    ({"features": ["world"], "entities": {"user_id": [1]}}, 422, "'world' is not of the form view:feature"),
    ({"entities": {"user_id": [1]}}, 422, "name features as view:feature, or a feature_service"),
    ({"feature_service": 1, "entities": {"user_id": [1]}}, 422, '"loc":["body","feature_service"]'),
    ({"features": ["world:total"], "entities": {"user_id": 1}}, 422, '"loc":["body","entities","user_id"]'),
    ({"features": ["world:total"], "entities": {"user_id": []}}, 422, "no value is given"),
    ({"features": ["world:total"], "entities": {"a": [1], "b": [1, 2]}}, 422, "it has 2 values, and another key has 1"),
    ({"features": ["world:total"], "entities": {"a": [1] * 5001}}, 422, "ask for at most 5000 at a time"),
    ({"features": ["world:total"], "entities": {"a": [1]}, "full_feature_names": "maybe"}, 422, "valid boolean"),
    (
        {"features": ["world:nothing"], "entities": {"a": [1]}},
        400,
        "feature view world has no feature nothing; it has total",
    ),
    ({"features": ["nowhere:x"], "entities": {"a": [1]}}, 404, "Feature view nowhere does not exist in project served"),
    ({"feature_service": "none", "entities": {"a": [1]}}, 404, "Feature service none does not exist in project served"),
    (
        {"features": ["ages:label"], "entities": {"user_id": [1]}},
        400,
        "the join key age of feature view ages",
    ),
    (
        {"features": ["ages:label"], "entities": {"age": [1, "x"]}},
        400,
        "entities.age[1]: the value must be a whole",
    ),
    (
        {"features": ["ages:label"], "entities": {"age": [1.5]}},
        400,
        "entities.age[0]: the value must be a whole",
    ),
    (
        {"features": ["ages:label"], "entities": {"age": [True]}},
        400,
        "entities.age[0]: the value must be a whole",
    ),
    (
        {"features": ["ages:label"], "entities": {"age": [None]}},
        400,
        "entities.age[0]: the value must be a whole",
    ),
    (
        {"features": ["ages:label"], "entities": {"age": [1, 2**31]}},
        400,
        "age[1]: the value does not fit INT32",
    ),
    ({"features": ["everything:an_int"], "entities": {"user_id": [2**63]}}, 400, "the value does not fit INT64"),
    (
        {"features": ["countries:area"], "entities": {"country_code": [None]}},
        400,
        "country_code[0]: the value must be",
    ),
    (
        {"features": ["visits:visits"], "entities": {"user_id": [1]}},
        400,
        "the join key country_code of",
    ),
    ({"features": ["everything:a_text", "visits:a_text"], "entities": {"a": [1]}}, 400, "full_feature_names: true"),
    ({"features": ["world@v2:total"], "entities": {"a": [1]}}, 400, "features[0]: world@v2:total pins a version"),
]


@pytest.mark.parametrize(("question", "status", "reason"), REFUSALS, ids=lambda value: str(value)[:40])
def test_what_cannot_be_answered_is_refused_with_the_field(
    ours: httpx.Client, question: dict[str, Any], status: int, reason: str
) -> None:
    answer = ask(ours, **question)
    assert (answer.status_code, reason in answer.text.replace('\\"', '"')) == (status, True), answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'"text"', b'{"features": [}'])
def test_a_body_that_is_no_json_object_is_refused(ours: httpx.Client, body: bytes) -> None:
    answer = ours.post("/get-online-features", content=body)
    assert (answer.status_code, answer.json()["detail"][0]["loc"][0]) == (422, "body")


def test_a_body_that_never_ends_is_refused(ours: httpx.Client) -> None:
    assert ours.post("/get-online-features", content=b" " * (9 << 20)).status_code == 413


def test_only_reading_paths_exist(ours: httpx.Client) -> None:
    for path in (
        "/push",
        "/write-to-online-store",
        "/materialize",
        "/chat",
        "/search",
        "/docs",
        "/redoc",
        "/",
        "/static",
    ):
        assert (path, ours.post(path, json={}).status_code, ours.get(path).status_code) == (path, 404, 404)
    refused = ours.get("/get-online-features")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert ours.post("/metrics").status_code == 405


def test_the_openapi_document_names_the_path_and_its_fields(ours: httpx.Client) -> None:
    document = ours.get("/openapi.json").json()
    assert list(document["paths"]) == ["/get-online-features"]
    question = document["components"]["schemas"]["Request"]["properties"]
    assert {"features", "feature_service", "entities", "full_feature_names"} <= set(question)


def test_metrics_count_what_was_answered_and_name_nobody(ours: httpx.Client) -> None:
    ask(ours, features=["countries:people"], entities={"country_code": ["xx-nobody"]})
    ask(ours, features=["countries:people"], entities={"country_code": [1.5]})
    text = ours.get("/metrics").text
    assert 'feature_server_values_total{feature_view="countries",status="NOT_FOUND"}' in text
    assert 'feature_server_requests_total{status="400"}' in text
    assert "feature_server_request_seconds_bucket" in text
    assert "feature_server_redis_up 1.0" in text
    assert "xx-nobody" not in text


def test_ready_says_what_was_read_and_by_which_canary(ours: httpx.Client) -> None:
    state = ours.get("/ready").json()
    assert (state["ready"], state["problem"], state["registry_problem"]) == (True, None, None)
    assert state["feature_views"] == 6
    assert state["canary"] in {"everything", "visits", "countries", "ages", "world"}
    assert state["registry_age_seconds"] < 30


def test_the_client_in_the_docs_works(ours: httpx.Client) -> None:
    page = (Path(__file__).parents[5] / "docs/features.md").read_text()
    code = (
        page.partition("```python\n")[2]
        .partition("```")[0]
        .replace("http://terrane-feature-server:6566", str(ours.base_url))
    )
    names: dict[str, Any] = {"key": "any"}
    exec(code, names)
    row = {"user_id": 1, "a_flag": False, "an_int": -1}
    assert names["features"](["everything:a_flag", "everything:an_int"], [1, 999])[0] == row
    names["client"].close()
