"""A request's body, read within bounds: its own length, and that of all bodies together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from terrane_features.server.request.errors import RequestError, too_much, unavailable

# Bodies up to this long are not counted: connections are, and each holds one at most.
SMALL = 64 << 10
# Bodies that may be held at a time, of the longest.
TOGETHER = 4
# A value of the JSON takes two bytes of a body and fifty of memory.
MOST_VALUES = 500_000


class Bodies:
    """Reads the bodies of all requests; memory is bounded by TOGETHER times the longest that is allowed."""

    def __init__(self, longest: int) -> None:
        self._longest, self._held = longest, 0

    @asynccontextmanager
    async def read(self, receive: Callable[[], Awaitable[Any]]) -> AsyncIterator[bytes]:
        """The body. Raises RequestError: 413 for one that is too long, 503 while others hold too much."""
        pieces: list[bytes] = []
        length = counted = 0
        try:
            more = True
            while more:
                message = await receive()
                piece, more = message.get("body", b""), message.get("more_body", False)
                if message["type"] == "http.disconnect":
                    raise RequestError(400, {"detail": "the request did not come to its end"}, "the client went away")
                pieces.append(piece)
                length += len(piece)
                if length > self._longest:
                    raise too_much(f"the body is longer than {self._longest} bytes")
                if length > SMALL:
                    self._held += length - counted
                    counted = length
                    if self._held > TOGETHER * self._longest:
                        raise unavailable("the server is reading other long requests; retry in a moment")
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if length > MOST_VALUES and body.count(b",") > MOST_VALUES:
                raise too_much(f"the body has more than {MOST_VALUES} values; ask in several requests")
            yield body
        finally:
            self._held -= counted
