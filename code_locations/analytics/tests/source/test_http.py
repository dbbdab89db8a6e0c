"""Keys, redirects and the rate: a key reaches the source's own host, and nothing else, in whatever form."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import Any

import pytest
from any_source import Reply, Request, serving

from analytics.source import auth
from analytics.source.auth import Credentials
from analytics.source.http import HttpSource, Manners
from terrane.errors import Permanent, Temporary

pytestmark = pytest.mark.unit

SECRET = "s3cret-of-the-shop"
BASIC = base64.b64encode(f"me:{SECRET}".encode()).decode()
FORMS: dict[str, Callable[[], Credentials]] = {
    "bearer": lambda: auth.bearer("SHOP"),
    "header": lambda: auth.header("X-Shop-Key", "SHOP"),
    "query": lambda: auth.query("api_key", "SHOP"),
    "basic": lambda: auth.basic("SHOP_USER", "SHOP"),
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    # A name by which nobody would take it for a secret.
    monkeypatch.setenv("SHOP", f" {SECRET}\n")
    monkeypatch.setenv("SHOP_USER", "me")
    return request.param


def holds_key(request: Request) -> bool:
    text = f"{dict(request.headers)} {request.query}"
    return SECRET in text or BASIC in text


def source_at(url: str, form: str, **manners: Any) -> HttpSource:
    return HttpSource(url, FORMS[form](), Manners(attempts=1, **manners))


def test_each_form_of_key_is_sent_as_it_is_meant(form: str) -> None:
    with serving(lambda request: {}) as server, source_at(server.url, form) as source:
        source.get("/rows", {"a": "1"})
    (request,) = server.requests
    assert request.query == {"a": "1"} | ({"api_key": SECRET} if form == "query" else {})
    wanted = {"bearer": f"Bearer {SECRET}", "basic": f"Basic {BASIC}"}.get(form)
    assert request.headers.get("Authorization") == wanted
    assert request.headers.get("X-Shop-Key") == (SECRET if form == "header" else None)


def test_no_log_of_a_request_holds_the_key(form: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(lambda request: {}) as server, source_at(server.url, form) as source:
        source.get("/rows")
    assert SECRET not in caplog.text


def test_a_key_follows_a_redirect_within_its_host_and_to_no_other(form: str) -> None:
    with serving(lambda request: {"from": "other"}) as other:

        def answer(request: Request) -> Reply:
            where = {"/old": "/new?b=2", "/away": f"{other.url}/file"}.get(request.path)
            return Reply({"from": "own"}) if where is None else Reply({}, 302, {"Location": where})

        with serving(answer) as server, source_at(server.url, form) as source:
            assert source.get("/old").json == {"from": "own"}
            assert [holds_key(request) for request in server.requests] == [True, True]
            assert source.get("/away").json == {"from": "other"}
    assert [(request.path, holds_key(request)) for request in other.requests] == [("/file", False)]


def test_a_key_that_another_host_sends_back_is_not_sent_again(form: str) -> None:
    """A way over another host is no way back: it could choose what the key asks for."""
    back = []
    with serving(lambda request: Reply({}, 302, {"Location": back[0]})) as other:

        def answer(request: Request) -> Reply:
            return Reply({}, 302, {"Location": f"{other.url}/"}) if request.path == "/away" else Reply({})

        with serving(answer) as server, source_at(server.url, form) as source:
            back.append(f"{server.url}/delete-all")
            source.get("/away")
            assert [holds_key(request) for request in server.requests] == [True, False]


def test_redirects_without_end_are_refused() -> None:
    with (
        serving(lambda request: Reply({}, 302, {"Location": "/"})) as server,
        HttpSource(server.url, Credentials(), Manners()) as source,
        pytest.raises(Permanent, match="more than 5 times"),
    ):
        source.get("/")
    assert len(server.requests) == 6


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_what_a_source_says_of_its_refusal_is_told_without_the_key(form: str, status: int) -> None:
    def answer(request: Request) -> Reply:
        return Reply({"error": f"no {dict(request.headers)} {request.query}"}, status)

    with (
        serving(answer) as server,
        source_at(server.url, form) as source,
        pytest.raises(Temporary if status == 500 else Permanent) as caught,
    ):
        source.get("/rows")
    assert SECRET not in str(caught.value)
    assert BASIC not in str(caught.value)
    assert f"{status}" in str(caught.value)
    if status == 401:
        assert "SHOP to what this source knows" in str(caught.value)


@pytest.mark.parametrize("value", [None, "", "two\nlines", "é"])
def test_a_variable_that_no_request_can_carry_is_named_without_its_value(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP", raising=False)
    if value is not None:
        monkeypatch.setenv("SHOP", value)
    with pytest.raises(Permanent, match="SHOP is (not set|empty or holds)") as caught:
        auth.bearer("SHOP")
    assert not value or value not in str(caught.value)


def test_no_more_than_so_many_requests_a_second_are_sent_redirects_included() -> None:
    waits: list[float] = []
    with serving(lambda request: Reply({}, 302, {"Location": "/b"}) if request.path == "/a" else Reply({})) as server:
        manners = Manners(requests_a_second=0.5, sleep=waits.append)
        with HttpSource(server.url, Credentials(), manners) as source:
            source.get("/a")
            source.get("/b")
    assert len(server.requests) == 3
    # The sleep is the test's own, so no time passes: the second waits for two seconds, the third for four.
    assert [round(wait) for wait in waits] == [2, 4]
