"""The HTTP side: routes, the key, parameters and their errors, cursors."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from source_api.catalogue import GAME_TYPES
from source_api.feed import Feed, Key, entry_feed, to_ms, user_feed

DEFAULT_LIMIT = 1000
MAX_LIMIT = 5000
KEY_HEADER = "X-API-Key"


class Refused(Exception):
    """The request gets an error: its status and a message that says what to change."""

    def __init__(self, status: HTTPStatus, message: str):
        self.status, self.message = status, message
        super().__init__(message)


class Handler(BaseHTTPRequestHandler):
    """One connection; the answer to every request is JSON."""

    server: SourceApi  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    server_version = "source-api"
    sys_version = ""
    timeout = 60
    # Headers and body in one packet where they fit, and no waiting for its acknowledgement where they do not.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        try:
            body = self._answer(address.path, address.query)
        except Refused as refused:
            self._send(refused.status, json.dumps({"error": refused.message}))
        else:
            self._send(HTTPStatus.OK, body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """A line a request would bury what matters in the platform's logs."""

    def _answer(self, path: str, query: str) -> str:
        if path == "/health":
            return '{"status": "ok"}'
        if path.startswith("/v1/") and not hmac.compare_digest(
            self.headers.get(KEY_HEADER, "").encode(), self.server.api_key.encode()
        ):
            raise Refused(HTTPStatus.UNAUTHORIZED, f"the header {KEY_HEADER} is missing or its key is not known")
        if path == "/v1/game-types":
            return json.dumps({"items": GAME_TYPES, "next_cursor": None, "window_total": len(GAME_TYPES)})
        if path in self.server.feeds:
            return self._page(self.server.feeds[path], parse_parameters(query))
        raise Refused(
            HTTPStatus.NOT_FOUND,
            f"there is nothing at {path}; there are /v1/users, /v1/journal-entries, /v1/game-types",
        )

    def _page(self, feed: Feed, asked: dict[str, str]) -> str:
        start, end = read_time(asked, "from"), read_time(asked, "to")
        if end <= start:
            raise Refused(HTTPStatus.BAD_REQUEST, "parameter to: must be later than from")
        page = feed.page(start, end, read_cursor(asked, start, end), read_limit(asked), to_ms(self.server.now()))
        cursor = f'"{write_cursor(page.last, start, end)}"' if page.last else "null"
        return f'{{"items": [{",".join(page.texts)}], "next_cursor": {cursor}, "window_total": {page.window_total}}}'

    def _send(self, status: HTTPStatus, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class SourceApi(ThreadingHTTPServer):
    """The API on a port of loopback; `serve_forever()` in a thread, `shutdown()` to end.

    Args:
        first_day: the first day with data.
        api_key: what the header `X-API-Key` must say.
        places: the names that journal entries draw from.
        port: 0 for a free one; `url` says which it is.
        now: the clock; rows later than it are not there yet.
    """

    daemon_threads = True
    handler: type[Handler] = Handler

    def __init__(
        self,
        first_day: date,
        api_key: str,
        places: Sequence[str],
        port: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        host: str = "127.0.0.1",
    ):
        self.api_key, self.now = api_key, now
        self.feeds: dict[str, Feed] = {
            "/v1/users": user_feed(first_day),
            "/v1/journal-entries": entry_feed(first_day, places),
        }
        super().__init__((host, port), self.handler)

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"


def parse_parameters(query: str) -> dict[str, str]:
    """The parameters, each once and each known."""
    asked = parse_qs(query, keep_blank_values=True)
    for name, values in asked.items():
        if name not in ("from", "to", "limit", "cursor"):
            raise Refused(HTTPStatus.BAD_REQUEST, f"parameter {name}: not known; there are from, to, limit, cursor")
        if len(values) > 1:
            raise Refused(HTTPStatus.BAD_REQUEST, f"parameter {name}: given {len(values)} times")
    return {name: values[0] for name, values in asked.items()}


def read_time(asked: dict[str, str], name: str) -> int:
    """A moment with its zone, as milliseconds since 1970."""
    try:
        moment = datetime.fromisoformat(asked.get(name, ""))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            f"parameter {name}: {asked.get(name)!r} is no time with a zone, such as 2026-01-31T00:00:00Z",
        )
    return to_ms(moment)


def read_limit(asked: dict[str, str]) -> int:
    text = asked.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LIMIT):
        raise Refused(HTTPStatus.BAD_REQUEST, f"parameter limit: {text!r} is no number from 1 to {MAX_LIMIT}")
    return int(text)


def write_cursor(last: Key, start: int, end: int) -> str:
    """Where the next page begins, bound to the window it was made for."""
    return base64.urlsafe_b64encode(json.dumps([*last, start, end]).encode()).decode()


def read_cursor(asked: dict[str, str], start: int, end: int) -> Key | None:
    if "cursor" not in asked:
        return None
    try:
        at, row, *window = (int(part) for part in json.loads(base64.urlsafe_b64decode(asked["cursor"])))
    except (ValueError, TypeError):
        raise Refused(HTTPStatus.BAD_REQUEST, "parameter cursor: not one that this API gave") from None
    if window != [start, end]:
        raise Refused(HTTPStatus.BAD_REQUEST, "parameter cursor: given for another window of from and to")
    return at, row
