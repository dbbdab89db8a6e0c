"""A source of the product's form that costs next to nothing: its pages are made before anybody asks.

python -m benchmarks.flow.source ROWS_A_DAY [ANSWER], which prints its port; with an answer, it is all it says. Each day
has ROWS_A_DAY entries, by one user for every ten of them, and those users' new versions; a page is 5,000 rows.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
PAGE_ROWS = 5000
ENTRIES_A_USER = 10
GAMES = ("board", "card", "puzzle", "word")


def entries(day: datetime, rows: int) -> list[dict[str, Any]]:
    """The day's entries, in the order of their times."""
    first = (day - EPOCH).days * rows
    return [
        {
            "id": first + n,
            "user_id": n // ENTRIES_A_USER,
            "created_at": _at(day, n, rows),
            "game_type": GAMES[n % len(GAMES)],
            "place": f"Place {n % 500}" if n % 3 else None,
            "mood": n % 5 + 1,
            "words": n % 400,
            "minutes": (n % 97) / 2,
        }
        for n in range(rows)
    ]


def users(day: datetime, rows: int) -> list[dict[str, Any]]:
    """The users of all entries, each in a new version of that day."""
    number = max(rows // ENTRIES_A_USER, 1)
    return [
        {
            "id": n,
            "name": f"user{n}",
            "language": "en",
            "plan": "free",
            "created_at": EPOCH.isoformat(),
            "updated_at": _at(day, n, number),
        }
        for n in range(number)
    ]


ROUTES = {"/v1/journal-entries": entries, "/v1/users": users}


@lru_cache(maxsize=8)
def pages(route: str, day: str, rows: int) -> list[bytes]:
    """The answers to one day's requests; a cursor is the number of the page."""
    made = ROUTES[route](datetime.fromisoformat(day).replace(tzinfo=UTC), rows)
    starts = range(0, len(made), PAGE_ROWS)
    return [
        json.dumps(
            {
                "items": made[start : start + PAGE_ROWS],
                "next_cursor": str(number + 1) if start + PAGE_ROWS < len(made) else None,
                "window_total": len(made),
            }
        ).encode()
        for number, start in enumerate(starts)
    ]


def serve(rows: int, answer: str = "") -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query = parse_qs(asked.query)
            day, cursor = query["from"][0][:10], int(query.get("cursor", ["0"])[0])
            body = answer.encode() if answer else pages(asked.path, day, rows)[cursor]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


def _at(day: datetime, n: int, rows: int) -> str:
    return (day + timedelta(microseconds=n * (DAY_US // rows))).isoformat()


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])
