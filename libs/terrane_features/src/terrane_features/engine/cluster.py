"""The Redis that a row's key belongs to: one, or a node of a cluster by the key's slot."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from terrane_features.engine.byte_columns import bytes_of
from terrane_features.engine.pipeline import TIMEOUT_S, PipelinedConnection

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from redis import Redis
    from redis.cluster import RedisCluster


class ClusterConnections:
    """A pipelined connection to every master; opened when it is first needed, closed by the context's end.

    Each keeps to one purpose, as its connections do.
    """

    def __init__(self, client: Redis | RedisCluster) -> None:
        """Takes redis-py's client; its connections are used, its commands are not."""
        self._client: Any = client
        self._owners = _slot_owners(client)
        self._connections: dict[str, PipelinedConnection] = {}
        self._open = ExitStack()

    def __enter__(self) -> ClusterConnections:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def send(self, commands: pa.Array, keys: pa.Array, replies_a_row: int = 1) -> None:
        """Sends each command to its key's node, and counts the replies. Raises redis.RedisError."""
        for name, index in self._shares(keys):
            share = commands if index is None else commands.take(index)
            self._connection(name).send(bytes_of(share), len(share) * replies_a_row)

    def finish(self) -> int:
        """Waits for all replies; returns how many of them were exactly 1. Raises redis.RedisError."""
        return sum(connection.finish() for connection in self._connections.values())

    def ask(self, commands: pa.Array, keys: pa.Array) -> list[Any]:
        """Every command's reply, in the commands' order. Raises redis.RedisError."""
        answers: list[Any] = [None] * len(commands)
        for name, index in self._shares(keys):
            if index is None:
                return self._connection(name).ask(bytes_of(commands), len(commands))
            share = self._connection(name).ask(bytes_of(commands.take(index)), len(index))
            for place, answer in zip(index.to_pylist(), share, strict=True):
                answers[place] = answer
        return answers

    def _shares(self, keys: pa.Array) -> list[tuple[str, pa.Array | None]]:
        """The rows of each node; None for all of them."""
        import numpy as np
        import pyarrow as pa

        if self._owners is None:
            return [("", None)]
        names, numbers = self._owners
        owners = numbers[slots_of(keys)]
        return [(names[number], pa.array(np.nonzero(owners == number)[0])) for number in np.unique(owners)]

    def _connection(self, name: str) -> PipelinedConnection:
        if name not in self._connections:
            client = self._client.get_redis_connection(self._client.get_node(node_name=name)) if name else self._client
            self._connections[name] = self._open.enter_context(PipelinedConnection(client, TIMEOUT_S))
        return self._connections[name]


def masters(client: Redis | RedisCluster) -> list[Redis]:
    """A client for every node that holds keys of its own."""
    found: Any = client
    if not hasattr(found, "get_primaries"):
        return [found]
    return [found.get_redis_connection(node) for node in found.get_primaries()]


def slots_of(keys: pa.Array) -> np.ndarray:
    """The hash slot of each key, its hash tag respected."""
    import numpy as np
    from redis.crc import key_slot

    return np.fromiter((key_slot(key) for key in keys.to_pylist()), np.int64, len(keys))


def _slot_owners(client: Any) -> tuple[list[str], np.ndarray] | None:
    """Names of the masters, and the number of the one that holds each slot; None where there is no cluster."""
    import numpy as np

    if not hasattr(client, "nodes_manager"):
        return None
    owners = [client.nodes_manager.slots_cache[slot][0].name for slot in range(16384)]
    names = sorted(set(owners))
    numbers = {name: number for number, name in enumerate(names)}
    return names, np.fromiter((numbers[name] for name in owners), np.int64, len(owners))
