"""What the engine's tests share: a warehouse of their own, and two databases of Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from golden import Golden, Two
from redis import Redis

from terrane.postgres import PostgresResource
from terrane_dev.testing import RedisServer


@pytest.fixture
def golden(make_database: Callable[..., PostgresResource], redis_server: RedisServer, tmp_path: Path) -> Golden:
    return Golden(tmp_path, make_database(), f"127.0.0.1:{redis_server.port},password={redis_server.password}")


@pytest.fixture
def two(redis_server: RedisServer) -> Iterator[Two]:
    """Two empty databases of Redis: stock's and ours."""
    clients = [Redis(port=redis_server.port, password=redis_server.password, db=db) for db in (20, 21)]
    yield clients[0], clients[1]
    for client in clients:
        client.flushdb()
        client.close()
