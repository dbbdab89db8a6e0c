"""The sample source API, and ways to make it fail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from source_api.server import Handler, SourceApi

FIRST_DAY = date(2026, 1, 1)
KEY = "the-key-of-the-tests"
PLACES = tuple(f"Place {n}" for n in range(40))

Fault = Callable[[Handler], bool]


class FaultyHandler(Handler):
    """Answers as the sample server does, unless the test's `fault` takes the request over or rewrites the answer."""

    def do_GET(self) -> None:  # noqa: N802 - the name the base class calls
        server: FaultyApi = self.server  # pyright: ignore[reportAssignmentType]
        if not self.path.startswith("/v1/"):
            return super().do_GET()
        server.requests.append(self.path)
        fault = server.faults.pop(0) if server.faults else server.fault
        if fault is None or not fault(self):
            super().do_GET()
        return None

    def _answer(self, path: str, query: str) -> str:
        server: FaultyApi = self.server  # pyright: ignore[reportAssignmentType]
        answer = super()._answer(path, query)
        return json.dumps(server.rewrite(len(server.requests), json.loads(answer))) if server.rewrite else answer


class FaultyApi(SourceApi):
    """The sample source API, and what a test does to it.

    Attributes:
        requests: the paths asked for, in order.
        faults: for the next requests, one each; a fault returns whether it has dealt with the request.
        fault: for all requests after those.
        rewrite: gets the number of the request and the answer, and returns the answer to give instead.
    """

    handler = FaultyHandler

    def __init__(self) -> None:
        super().__init__(FIRST_DAY, KEY, PLACES)
        self.heal()

    def heal(self) -> None:
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.fault: Fault | None = None
        self.rewrite: Callable[[int, dict[str, Any]], dict[str, Any]] | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that a test breaks is no news."""


def status(code: int, **headers: str) -> Fault:
    """Answers with that status, and an error that is no JSON, as a proxy's."""

    def fault(handler: Handler) -> bool:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "5")
        handler.end_headers()
        handler.wfile.write(b"sorry")
        return True

    return fault


def rows_of(routes: Mapping[str, Sequence[Mapping[str, Any]]]) -> Fault:
    """Answers with the route's rows of the day that is asked for; of another route, as the sample server."""

    def fault(handler: Handler) -> bool:
        route = handler.path.partition("?")[0]
        if route not in routes:
            return False
        day = handler.path.split("from=")[1][:10]
        inside = [row for row in routes[route] if (row.get("updated_at") or row["created_at"])[:10] == day]
        return whole({"items": inside, "next_cursor": None, "window_total": len(inside)})(handler)

    return fault


def whole(answer: Any) -> Fault:
    """Answers with that JSON, or text."""

    def fault(handler: Handler) -> bool:
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True

    return fault


def slow(seconds: float) -> Fault:
    """Answers, but late."""

    def fault(handler: Handler) -> bool:
        time.sleep(seconds)
        return False

    return fault


def hang_up(handler: Handler) -> bool:
    """Ends the connection in the middle of an answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.close_connection = True
    return True
