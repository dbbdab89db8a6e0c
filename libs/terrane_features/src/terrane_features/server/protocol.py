"""HTTP on a socket, with bounds on what a client may make the server keep or wait for.

uvicorn's protocol with httptools keeps an unfinished header whatever its length, at a cost that grows with its square,
and waits for the rest of a request without end.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger("terrane_features.server.protocol")
LONGEST_HEADER = 32 << 10
# A piece of a request is parsed at a time, so that nobody waits for another's.
PIECE = 64 << 10
REQUEST_TIMEOUT_S = 20.0
# How long a client may take nothing of its answer, which is held until then.
ANSWER_TIMEOUT_S = 20.0
_REASONS = {408: b"Request Timeout", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}


@dataclass(frozen=True)
class Limits:
    """Bounds of one server.

    Attributes:
        connections: that are open at a time; one more is answered 503 and closed.
        header_bytes: of a request's line and headers together.
        request_s: from a request's first byte to its last, and from a connection to its first request.
        answer_s: without a byte of an answer taken, after which the connection is cut.
    """

    connections: int = 1000
    header_bytes: int = LONGEST_HEADER
    request_s: float = REQUEST_TIMEOUT_S
    answer_s: float = ANSWER_TIMEOUT_S


class BoundedProtocol(HttpToolsProtocol):
    """One client's connection. Refuses with 431 a header that is too long, with 408 a request that takes too long."""

    limits = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._header_bytes = 0
        self._in_header = self._incomplete = True
        self._closed = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > self.limits.connections:
            self._refuse(503, b"too many connections are open")

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._done_waiting()
        self._moving()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        self._moving()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._closed:
            return
        if not self._incomplete:
            self._incomplete = True
            self._wait()
        while data and not self._closed:
            if self._in_header:
                room = self.limits.header_bytes - self._header_bytes
                piece, data = data[:room], data[room:]
                self._header_bytes += len(piece)
            else:
                piece, data = data[:PIECE], data[PIECE:]
            super().data_received(piece)
            if self._in_header and self._header_bytes >= self.limits.header_bytes:
                self._refuse(431, b"the request's header is too long")

    def send_400_response(self, msg: str) -> None:
        self._closed = True
        self._done_waiting()
        super().send_400_response(msg)

    def on_message_begin(self) -> None:
        self._in_header = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_header, self._header_bytes = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_header, self._header_bytes, self._incomplete = True, 0, False
        self._done_waiting()
        super().on_message_complete()

    def _watch_stall(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(self.limits.answer_s, self._cut_if_stalled, left)

    def _cut_if_stalled(self, before: int) -> None:
        """Cuts a client that took nothing since; one that reads slowly goes on."""
        if self.transport.get_write_buffer_size() < before:
            self._watch_stall()
            return
        log.info("cut: the client took nothing of its answer for %s s", self.limits.answer_s)
        self.transport.abort()

    def _moving(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _wait(self) -> None:
        self._done_waiting()
        self._deadline = self.loop.call_later(self.limits.request_s, self._late)

    def _done_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._refuse(408, b"the request did not come to an end in time")

    def _refuse(self, status: int, reason: bytes) -> None:
        """Answers once, where no answer is under way, and closes the connection."""
        if self._closed:
            return
        self._closed = True
        self._done_waiting()
        log.info("refused: %s", reason.decode(), extra={"status": status})
        body = b'{"detail":"%s"}' % reason
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(head % (status, _REASONS[status], len(body)) + body)
        self.transport.close()
