"""One request: when it is sent again, when it is not, and what a failure says."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from faulty_api import KEY, hang_up, slow, status

from analytics.source.asking import retry_after
from analytics.source.client import SourceClient
from terrane.errors import Permanent, Temporary
from terrane_dev.servers.process import free_port

pytestmark = pytest.mark.unit

ROUTE = "/v1/game-types"


@pytest.fixture
def waits():
    return []


@pytest.fixture
def client(api, waits):
    with SourceClient(api.url, KEY, timeout_s=0.3, attempts=4, backoff_s=0.5, sleep=waits.append) as client:
        yield client


@pytest.mark.parametrize("fault", [status(500), status(503), status(429), hang_up, slow(0.6)])
def test_what_may_pass_is_asked_again(api, client, fault):
    api.faults = [fault, fault]
    assert len(client.get(ROUTE)["items"]) == 8
    assert len(api.requests) == 3


def test_each_wait_is_twice_the_one_before(api, client, waits):
    api.fault = status(503)
    with pytest.raises(Temporary):
        client.get(ROUTE)
    assert waits == [0.5, 1.0, 2.0]


def test_a_server_that_says_when_is_asked_then(api, client, waits):
    api.faults = [status(429, Retry_After="7"), status(503, Retry_After="0")]
    client.get(ROUTE)
    assert waits == [7.0, 0.0]


def test_retry_after_may_be_a_date_and_has_a_limit():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert 15 < retry_after(soon, 1.0) <= 20
    assert retry_after("864000", 1.0) == 86_400
    assert retry_after("whenever", 1.0) == 1.0
    assert retry_after(None, 1.0) == 1.0


def test_an_api_that_is_down_is_named_with_what_to_do(waits):
    url = f"http://127.0.0.1:{free_port()}"
    with SourceClient(url, KEY, 0.3, 3, 0.5, waits.append) as client, pytest.raises(Temporary) as caught:
        client.get(ROUTE)
    assert str(caught.value).startswith(
        f"the API at {url} gave no good answer to GET {ROUTE} in 3 attempts: ConnectError"
    )
    assert "Nothing of this window was written; see that the API is up" in str(caught.value)


def test_a_slow_api_costs_no_more_than_its_time_outs(api, client):
    api.fault = slow(1.0)
    began = time.monotonic()
    with pytest.raises(Temporary, match="ReadTimeout"):
        client.get(ROUTE)
    assert time.monotonic() - began < 4 * 0.3 + 1.0


@pytest.mark.parametrize(
    ("code", "advice"),
    [(401, "Set API_KEY"), (403, "Set API_KEY"), (404, "SOURCE_API_URL"), (400, "disagree"), (422, "disagree")],
)
def test_what_will_not_pass_fails_at_once_with_what_to_do(api, client, waits, code, advice):
    api.fault = status(code)
    with pytest.raises(Permanent, match=advice) as caught:
        client.get(ROUTE)
    assert f"refused GET {ROUTE} with {code}: sorry" in str(caught.value)
    assert (len(api.requests), waits) == (1, [])


def test_a_wrong_key_is_refused_and_appears_nowhere(api, waits):
    with SourceClient(api.url, "not-the-key", 1, 3, 0.5, waits.append) as client, pytest.raises(Permanent) as caught:
        client.get(ROUTE)
    assert "its key is not known" in str(caught.value)
    assert "not-the-key" not in str(caught.value)


def test_an_answer_that_is_no_json_object_is_asked_for_again(api, client):
    api.fault = status(200)
    with pytest.raises(Temporary, match="4 attempts"):
        client.get(ROUTE)
