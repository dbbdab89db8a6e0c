"""Replies are counted and read whatever pieces they come in, and a stage that fails ends the others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa
import pytest
from redis import Redis, exceptions

from terrane.ahead import read_ahead
from terrane_dev.testing import RedisServer
from terrane_features.engine.cluster import ClusterConnections

KEYS = [b"key %d" % n for n in range(200)]


@pytest.fixture
def dribbling(redis_server: RedisServer) -> Iterator[Redis]:
    """Redis behind a line that brings its replies a byte at a time."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_forward_all, args=(listener, redis_server.port), daemon=True).start()
    with Redis(port=listener.getsockname()[1], password=redis_server.password, db=22) as client:
        yield client
    listener.close()
    with Redis(port=redis_server.port, password=redis_server.password, db=22) as client:
        client.flushdb()


def _forward_all(listener: socket.socket, port: int) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=_forward, args=(near, far, 1 << 16), daemon=True).start()
        threading.Thread(target=_forward, args=(far, near, 1), daemon=True).start()


def _forward(source: socket.socket, sink: socket.socket, size: int) -> None:
    try:
        while piece := source.recv(size):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def commands(name: bytes, *rest: bytes) -> pa.Array:
    parts = [[name, key, *rest] for key in KEYS]
    lines = [b"*%d\r\n" % len(p) + b"".join(b"$%d\r\n%s\r\n" % (len(x), x) for x in p) for p in parts]
    return pa.array(lines, pa.binary())


@pytest.mark.integration
def test_replies_that_come_in_crumbs_are_counted_and_read(dribbling: Redis) -> None:
    keys = pa.array(KEYS, pa.binary())
    with ClusterConnections(dribbling) as nodes:
        nodes.send(commands(b"HSET", b"f", b"-1\r\n:1\r\n"), keys)
        nodes.send(commands(b"HSET", b"f", b"value"), keys)
        assert nodes.finish() == len(KEYS)
    with ClusterConnections(dribbling) as nodes:
        assert nodes.ask(commands(b"HGET", b"f"), keys) == [b"value"] * len(KEYS)
        assert nodes.ask(commands(b"HGET", b"g"), keys) == [None] * len(KEYS)


@pytest.mark.integration
def test_an_error_among_the_replies_is_raised_in_redis_words(dribbling: Redis) -> None:
    dribbling.set(KEYS[77], "no hash")
    keys = pa.array(KEYS, pa.binary())
    with pytest.raises(exceptions.ResponseError, match="^WRONGTYPE Operation against a key"):
        _write(dribbling, keys)
    with (
        ClusterConnections(dribbling) as nodes,
        pytest.raises(exceptions.ResponseError, match="^WRONGTYPE Operation against a key"),
    ):
        nodes.ask(commands(b"HGET", b"f"), keys)


def _write(client: Redis, keys: pa.Array) -> None:
    with ClusterConnections(client) as nodes:
        nodes.send(commands(b"HSET", b"f", b"value"), keys)
        nodes.finish()


@pytest.mark.integration
def test_a_connection_that_redis_ends_is_lost(redis_server: RedisServer) -> None:
    keys = pa.array(KEYS, pa.binary())
    with (
        Redis(port=redis_server.port, password=redis_server.password, db=22) as client,
        ClusterConnections(client) as nodes,
    ):
        nodes.ask(commands(b"HGET", b"f"), keys)
        client.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(exceptions.ConnectionError):
            nodes.ask(commands(b"HGET", b"f"), keys)


@pytest.mark.unit
def test_a_stage_hands_on_its_items_and_then_its_error() -> None:
    def items() -> Iterator[int]:
        yield from range(100)
        raise OSError("the source broke")

    taken: list[int] = []
    with pytest.raises(OSError, match="the source broke"):
        _take_all(items(), taken)
    assert taken == list(range(100))


def _take_all(items: Iterator[int], taken: list[int]) -> None:
    with closing(read_ahead(items)) as ready:
        taken.extend(ready)


@pytest.mark.unit
def test_a_stage_ends_when_nobody_takes_its_items() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(1_000_000):
            made.append(number)
            yield number

    before = threading.active_count()
    with closing(read_ahead(items())) as ready:
        next(ready)
    assert len(made) < 10
    assert threading.active_count() == before
