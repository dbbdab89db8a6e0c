"""What a client may make the server keep or wait for: each of these would have stopped it for everybody."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from terrane_features.server.protocol import BoundedProtocol, Limits
from terrane_features.server.request.body import Bodies
from terrane_features.server.request.errors import RequestError

pytestmark = pytest.mark.integration
LIMITS = Limits(connections=20, header_bytes=32 << 10, request_s=1.0, answer_s=1.0)


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with how many bytes came."""
    status, length = 200, 0
    try:
        async with Bodies(1 << 20).read(receive) as body:
            length = len(body)
    except RequestError as refused:
        status = refused.status
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"7")]})
    await send({"type": "http.response.body", "body": b"%7d" % length})


async def long_answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Forty megabytes, and a note of when they were taken or given up."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(LONG), "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    ENDED.append(time.monotonic())


ENDED: list[float] = []
LONG = 40 << 20


class Small(BoundedProtocol):
    limits = LIMITS


@contextmanager
def serving(app: Any = echo) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        config = uvicorn.Config(app, http=Small, log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()[:2]
        finally:
            server.should_exit = True
            thread.join(15)


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, int]]:
    with serving() as made:
        yield made


def sent(place: tuple[str, int], *pieces: bytes, wait_s: float = 0) -> bytes:
    """What is answered to the pieces, until the server closes the connection."""
    with socket.create_connection(place, timeout=10) as client:
        for piece in pieces:
            try:
                client.sendall(piece)
            except OSError:
                break
            time.sleep(wait_s)
        got = b""
        try:
            while piece := client.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got


HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"


def test_a_header_without_end_is_refused_at_32_kb_and_nobody_else_notices(place) -> None:
    slowest, done = [0.0], threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=f"http://{place[0]}:{place[1]}", trust_env=False) as client:
            while not done.is_set():
                began = time.perf_counter()
                assert client.post("/", content=b"x").status_code == 200
                slowest[0] = max(slowest[0], time.perf_counter() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(5):
            got = sent(place, HEAD + b"x: ", *[b"a" * 65536] * 200)
            assert got == b"" or got.startswith(b"HTTP/1.1 431 ")
        assert sent(place, HEAD + b"x: ", b"a" * (32 << 10)).startswith(b"HTTP/1.1 431 ")
    finally:
        done.set()
        asking.join(10)
    assert slowest[0] < 0.5


def test_many_small_headers_are_refused_like_one_long_one(place) -> None:
    assert sent(place, HEAD, *[b"a: b\r\n" * 100] * 60).startswith(b"HTTP/1.1 431 ")


def test_a_request_that_does_not_end_in_time_is_refused(place) -> None:
    for start in (b"", HEAD, HEAD + b"content-length: 10\r\n\r\nabc"):
        began = time.monotonic()
        got = sent(place, start)
        assert got.startswith(b"HTTP/1.1 408 ") or got == b""
        assert 0.9 < time.monotonic() - began < 4


def test_a_byte_now_and_then_does_not_prolong_it(place) -> None:
    began = time.monotonic()
    sent(place, HEAD, *[b"x"] * 30, wait_s=0.1)
    assert time.monotonic() - began < 6


def test_a_connection_that_is_used_again_and_again_outlives_the_time_of_one_request(place) -> None:
    with httpx.Client(base_url=f"http://{place[0]}:{place[1]}", trust_env=False) as client:
        answers = []
        for _ in range(4):
            answers.append(client.post("/", content=b"x" * 100_000).text.strip())
            time.sleep(0.5)
    assert answers == ["100000"] * 4


def test_a_long_body_arrives_whole_and_too_long_a_one_is_refused(place) -> None:
    with httpx.Client(base_url=f"http://{place[0]}:{place[1]}", trust_env=False) as client:
        assert client.post("/", content=b"x" * (1 << 20)).text.strip() == str(1 << 20)
        assert client.post("/", content=b"x" * ((1 << 20) + 1)).status_code == 413
        assert client.post("/", content=b"1," * 510_000).status_code == 413


def test_more_connections_than_are_allowed_are_told_so() -> None:
    with serving() as place:
        held = [socket.create_connection(place, timeout=10) for _ in range(LIMITS.connections)]
        try:
            time.sleep(0.3)
            assert sent(place).startswith(b"HTTP/1.1 503 ")
        finally:
            for one in held:
                one.close()


def test_a_client_that_takes_nothing_of_its_answer_is_cut_and_a_slow_one_is_not() -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(long_answer) as place:
        with socket.create_connection(place, timeout=10) as client:
            client.sendall(request)
            began = time.monotonic()
            while not ENDED and time.monotonic() - began < 10:
                time.sleep(0.05)
            assert ENDED, "the answer is held for a client that does not read"
            assert ENDED.pop() - began < 5
        with socket.create_connection(place, timeout=10) as client:
            began = time.monotonic()
            client.sendall(request)
            got = 0
            while got < LONG and (piece := client.recv(1 << 20)):
                got += len(piece)
                time.sleep(0.05)
            assert got >= LONG
            assert time.monotonic() - began > 2 * LIMITS.answer_s
