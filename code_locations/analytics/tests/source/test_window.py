"""A window is read whole or not at all: nothing skipped, nothing twice."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from faulty_api import KEY

from analytics.source.client import SourceClient
from analytics.source.window import Window, WindowChanged, read_window
from source_api import generator
from terrane.errors import Permanent

pytestmark = pytest.mark.unit

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY_TWO = Window("/v1/users", "updated_at", START + timedelta(days=1), START + timedelta(days=2))
ROWS = generator.user_versions_of(1)


@pytest.fixture
def client(api):
    with SourceClient(api.url, KEY, 5, 2, 0.001) as client:
        yield client


def read(client, window=DAY_TWO, page_rows=40):
    return [row for page in read_window(client, window, page_rows) for row in page]


def test_any_window_in_pages_of_any_size_is_each_row_once(client):
    rng = random.Random(20260101)
    for _ in range(25):
        hours = sorted(rng.sample(range(24 * 6), 2))
        window = Window("/v1/users", "updated_at", START + timedelta(hours=hours[0]), START + timedelta(hours=hours[1]))
        whole = client.get(
            "/v1/users", {"from": window.start.isoformat(), "to": window.end.isoformat(), "limit": "5000"}
        )
        assert read(client, window, rng.choice([1, 2, 3, 10, 99, 5000])) == whole["items"]


@pytest.mark.parametrize("page_rows", [1, ROWS - 1, ROWS, ROWS + 1])
def test_a_last_page_that_is_full_or_empty_ends_the_window(client, page_rows):
    assert len(read(client, page_rows=page_rows)) == ROWS


def test_a_window_without_rows_is_no_rows(client):
    window = Window("/v1/users", "updated_at", START - timedelta(days=9), START - timedelta(days=8))
    assert read(client, window) == []


def drop_first(request, answer):
    """As when a row left the window after the page before: this page begins one row later."""
    return answer | {"items": answer["items"][1:]} if request == 2 else answer


def repeat_first(request, answer):
    return answer | {"items": [answer["items"][0], *answer["items"]]} if request == 2 else answer


def swap(request, answer):
    items = answer["items"]
    return answer | {"items": [items[1], items[0], *items[2:]]}


def grow(request, answer):
    """As when a row came into the window behind what was read already."""
    return answer | {"window_total": answer["window_total"] + (request > 1)}


def shrink(request, answer):
    return answer | {"window_total": answer["window_total"] - (request > 1)}


def another_day(request, answer):
    stranger = answer["items"][-1] | {"updated_at": "2026-01-03T00:00:00.000Z"}
    return answer | {"items": [*answer["items"][:-1], stranger]}


def end_early(request, answer):
    return answer | {"next_cursor": None}


@pytest.mark.parametrize("change", [drop_first, repeat_first, swap, grow, shrink, another_day, end_early])
def test_pages_that_do_not_fit_together_are_noticed(api, client, change):
    api.rewrite = change
    with pytest.raises(WindowChanged, match=r"/v1/users from 2026-01-02T00:00:00\+00:00"):
        read(client)


def test_pages_that_never_end_are_noticed(api, client):
    first = []

    def lead_back(request, answer):
        first.append(answer["next_cursor"])
        return answer | {"items": [], "next_cursor": first[0]}

    api.rewrite = lead_back
    with pytest.raises(WindowChanged, match="leads back to a page that was read"):
        read(client)


@pytest.mark.parametrize("name", ["items", "next_cursor", "window_total"])
def test_an_answer_of_another_form_is_for_somebody_to_see_to(api, client, name):
    api.rewrite = lambda request, answer: {key: value for key, value in answer.items() if key != name}
    with pytest.raises(Permanent, match=f"has no '{name}'; the API's form has changed"):
        read(client)


def test_a_row_without_its_time_is_for_somebody_to_see_to(api, client):
    api.rewrite = lambda request, answer: answer | {"items": [{"id": 1}]}
    with pytest.raises(Permanent, match="a row has no updated_at or id that can be read"):
        read(client)
