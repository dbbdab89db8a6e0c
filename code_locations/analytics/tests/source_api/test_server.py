"""The sample source over HTTP: the key, parameters, pages, and today."""

import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from faulty_api import FIRST_DAY, KEY, PLACES

from source_api import generator
from source_api.server import SourceApi

pytestmark = pytest.mark.unit

WINDOW = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-03T00:00:00Z"}
NOON_OF_DAY_TWO = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def http(api):
    with httpx.Client(base_url=api.url, headers={"X-API-Key": KEY}) as client:
        yield client


@pytest.fixture
def at_noon():
    """The API as it is on its second day at noon."""
    server = SourceApi(FIRST_DAY, KEY, PLACES, now=lambda: NOON_OF_DAY_TWO)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    with httpx.Client(base_url=server.url, headers={"X-API-Key": KEY}) as client:
        yield client
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("route", ["users", "journal-entries", "game-types", "nothing"])
def test_every_route_below_v1_wants_the_key(api, route):
    for headers in ({}, {"X-API-Key": "another"}):
        answer = httpx.get(f"{api.url}/v1/{route}", headers=headers)
        assert answer.status_code == 401
        assert "X-API-Key" in answer.json()["error"]


def test_health_is_open(api):
    assert httpx.get(f"{api.url}/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "yesterday"),
        ("from", "2026-01-01T00:00:00"),
        ("to", "2025-01-01T00:00:00Z"),
        ("limit", "0"),
        ("limit", "5001"),
        ("limit", "many"),
        ("cursor", "made-up"),
        ("page", "2"),
    ],
)
def test_bad_input_is_refused_by_the_name_of_the_parameter(http, name, value):
    answer = http.get("/v1/users", params=WINDOW | {name: value})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"parameter {name}:")


def test_a_cursor_of_another_window_is_refused(http):
    cursor = http.get("/v1/users", params=WINDOW | {"limit": "10"}).json()["next_cursor"]
    answer = http.get("/v1/users", params=WINDOW | {"to": "2026-01-04T00:00:00Z", "cursor": cursor})
    assert (answer.status_code, "another window" in answer.json()["error"]) == (400, True)


def test_what_is_not_there_is_404_and_names_what_is(http):
    answer = http.get("/v1/games")
    assert (answer.status_code, "/v1/game-types" in answer.json()["error"]) == (404, True)


@pytest.mark.parametrize("limit", [7, 100, 117, 5000])
def test_pages_of_any_size_make_up_the_window(http, limit):
    items, cursor = [], None
    while True:
        page = http.get(
            "/v1/users", params=WINDOW | {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        ).json()
        items += page["items"]
        assert page["window_total"] == generator.user_versions_of(0) + generator.user_versions_of(1)
        assert len(page["items"]) == limit or page["next_cursor"] is None
        if (cursor := page["next_cursor"]) is None:
            break
    keys = [(item["updated_at"], item["id"]) for item in items]
    assert keys == sorted(set(keys))
    assert len(keys) == page["window_total"]


def test_a_window_holds_its_beginning_and_not_its_end(http):
    times = [item["created_at"] for item in http.get("/v1/journal-entries", params=WINDOW).json()["items"]]
    window = {"from": times[3], "to": times[5]}
    page = http.get("/v1/journal-entries", params=window).json()
    assert ([item["created_at"] for item in page["items"]], page["window_total"]) == (times[3:5], 2)


def test_todays_rows_are_there_from_their_moment_on(at_noon):
    page = at_noon.get("/v1/users", params=WINDOW | {"limit": "5000"}).json()
    noon = generator.DAY_MS // 2
    today = [v for v in generator.user_versions(1) if v.at_ms <= noon]
    assert len(page["items"]) == page["window_total"] == generator.user_versions_of(0) + len(today)
    assert max(item["updated_at"] for item in page["items"]) <= NOON_OF_DAY_TWO.isoformat()


def test_there_is_nothing_before_the_first_day(http):
    before = {"from": "2025-12-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
    assert http.get("/v1/users", params=before).json() == {"items": [], "next_cursor": None, "window_total": 0}


def test_two_months_of_entries_are_served_within_seconds(http):
    end = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=60)
    window = {"from": WINDOW["from"], "to": end.isoformat(), "limit": "5000"}
    began, rows, cursor = datetime.now(UTC), 0, None
    while True:
        page = http.get("/v1/journal-entries", params=window | ({"cursor": cursor} if cursor else {})).json()
        rows += len(page["items"])
        if (cursor := page["next_cursor"]) is None:
            break
    assert rows == generator.entries_before(60)
    assert datetime.now(UTC) - began < timedelta(seconds=30)
