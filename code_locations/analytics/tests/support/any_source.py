"""A source of any form over HTTP on loopback: what it answers is a function of the test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """What goes back: JSON, or bytes as they are."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class AnySource(ThreadingHTTPServer):
    """Answers by `answer`, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, answer: Callable[[Request], Reply | Any]):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.requests = answer, list[Request]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: AnySource = self.server  # pyright: ignore[reportAssignmentType]
        asked = urlsplit(self.path)
        request = Request(asked.path, dict(parse_qsl(asked.query)), dict(self.headers))
        server.requests.append(request)
        reply = server.answer(request)
        reply = reply if isinstance(reply, Reply) else Reply(reply)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@contextmanager
def serving(answer: Callable[[Request], Reply | Any]) -> Iterator[AnySource]:
    server = AnySource(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
