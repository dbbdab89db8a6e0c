"""The server over a real cluster: every key is found at its master, also after slots and masters changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from redis.crc import key_slot
from redis_kinds import cluster_client, redis_cluster

from terrane_features.online_store.address import StoreAddress
from terrane_features.server.cluster import ClusterConnection, key_of, slot_of
from terrane_features.server.redis import StoreUnavailable, command

KEYS = [b"key %d" % n for n in range(300)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[list[int], str]]:
    with redis_cluster() as made:
        yield made


def with_store(ports: list[int], password: str, work: Callable[[ClusterConnection], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        store = ClusterConnection(
            StoreAddress("redis_cluster", tuple(("127.0.0.1", port) for port in ports), {"password": password})
        )
        try:
            return await work(store)
        finally:
            store.close()

    return asyncio.run(run())


@pytest.mark.unit
@pytest.mark.parametrize("key", [b"a", b"{a}b", b"x{ab}y", b"{}a", b"{a", b"a}{b}", b"\x01\0\0\0{\0}", b"", b"{{a}}"])
def test_a_keys_slot_is_redis_own(key: bytes) -> None:
    assert slot_of(key_of(command(b"HMGET", key, b"field"))) == key_slot(key)


@pytest.mark.integration
def test_rows_of_all_masters_come_back_in_the_order_of_the_request(cluster) -> None:
    ports, password = cluster
    with cluster_client(ports, password) as client:
        for n, key in enumerate(KEYS):
            client.hset(key, "f", n)  # pyright: ignore[reportArgumentType]

    async def work(store: ClusterConnection) -> tuple[list[Any], list[Any]]:
        replies = await store.ask([command(b"HMGET", key, b"f") for key in reversed(KEYS)])
        return replies, await store.ask_everywhere(command(b"DBSIZE"))

    replies, sizes = with_store(ports[:1], password, work)
    assert replies == [[b"%d" % n] for n in reversed(range(len(KEYS)))]
    assert (len(sizes), sum(sizes)) == (len(ports), len(KEYS))


@pytest.mark.integration
def test_a_slot_that_moves_is_followed(cluster) -> None:
    ports, password = cluster
    key = b"moves"
    clients = [Redis(port=port, password=password) for port in ports]
    names = [client.execute_command("CLUSTER", "MYID").decode() for client in clients]
    slot = key_slot(key)
    with cluster_client(ports, password) as client:
        owner = ports.index(client.get_node_from_key(key.decode()).port)  # pyright: ignore[reportOptionalMemberAccess]
    other = (owner + 1) % len(ports)

    async def work(store: ClusterConnection) -> list[Any]:
        before = await store.ask([command(b"HMGET", key, b"f")])
        for client in clients:
            await asyncio.to_thread(client.execute_command, "CLUSTER", "SETSLOT", slot, "NODE", names[other])
        await asyncio.to_thread(clients[other].hset, key, "f", "here")
        return [*before, *await store.ask([command(b"HMGET", key, b"f")])]

    assert with_store(ports, password, work) == [[None], [b"here"]]


@pytest.mark.integration
def test_a_cluster_that_is_away_is_named(cluster) -> None:
    async def work(store: ClusterConnection) -> str:
        with pytest.raises(StoreUnavailable) as away:
            await store.ask([command(b"HMGET", b"a", b"f")])
        return str(away.value)

    assert "the Redis cluster at 127.0.0.1:1" in with_store([1], "none", work)
