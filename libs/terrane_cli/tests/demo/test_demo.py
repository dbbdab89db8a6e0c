"""A webserver that is away for a moment ends nothing; one that stays away does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from terrane_cli.dagster_api import DagsterApi, NoAnswer
from terrane_cli.demo import demo

pytestmark = pytest.mark.unit


class Webserver(BaseHTTPRequestHandler):
    """Is behind an ingress that finds nobody for so many questions, and then answers."""

    away: ClassVar[int] = 0
    runs: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        away = type(self).away > 0
        code, body = (
            (502, b"Bad Gateway")
            if away
            else (200, json.dumps({"data": {"runsOrError": {"results": self.runs}}}).encode())
        )
        type(self).away -= 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def api() -> Iterator[DagsterApi]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Webserver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield DagsterApi(f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    server.server_close()


def test_a_webserver_that_is_being_replaced_is_asked_again(api: DagsterApi) -> None:
    Webserver.away = 2
    assert demo.answered(api.is_idle)
    assert Webserver.away == -1


def test_runs_that_make_assets_are_waited_for_and_jobs_of_somebody_s_own_are_not(
    api: DagsterApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Webserver, "runs", [{"assetSelection": None}])
    assert api.is_idle()
    monkeypatch.setattr(Webserver, "runs", [{"assetSelection": None}, {"assetSelection": [{"path": ["gold", "a"]}]}])
    assert not api.is_idle()


def test_one_that_stays_away_is_told_of(api: DagsterApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "ANSWER_TIMEOUT_S", 1)
    Webserver.away = 1000
    with pytest.raises(NoAnswer, match="502"):
        demo.answered(api.is_idle)
    # Asked more than once, and not for ever.
    assert 990 < Webserver.away < 999
