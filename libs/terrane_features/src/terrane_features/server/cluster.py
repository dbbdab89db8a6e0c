"""A Redis cluster: one shared connection a master, each command to the one that holds its key.

Where slots are is asked of any node, and again when a node says that a key has moved, or does not answer. A command
that met such a node is sent once more to where the new map has it, for as long as one wait for a reply.
"""

from __future__ import annotations

import asyncio
import logging
from binascii import crc_hqx
from collections.abc import Iterable, Sequence
from typing import Any

from terrane_features.online_store.address import StoreAddress
from terrane_features.server.redis import REPLY_TIMEOUT_S, Node, RedisConnection, StoreUnavailable, command

log = logging.getLogger("terrane_features.server.cluster")
SLOTS = 16384
# Between two looks at a map that some node could not serve by: a failover takes seconds.
MAP_WAIT_S = 0.2
_MOVED = ("MOVED ", "ASK ", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN")


class ClusterConnection:
    """Asks the masters of a cluster. For one event loop."""

    def __init__(self, address: StoreAddress) -> None:
        self._address = address
        self._nodes: dict[Node, RedisConnection] = {}
        self._owners: list[Node | None] = []
        self._mapping: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        masters = {owner for owner in self._owners if owner}
        return bool(masters) and all(self._node(node).connected for node in masters if node in self._nodes)

    @property
    def connections(self) -> int:
        """How many were made since the start, to the nodes that are known now."""
        return sum(node.connections for node in self._nodes.values())

    async def ask(self, commands: Sequence[bytes]) -> list[Any]:
        """The replies to commands whose second word is a key, in order. Raises StoreUnavailable."""
        if not self._owners:
            await self._map()
        replies: list[Any] = [None] * len(commands)
        slots = [slot_of(key_of(one)) for one in commands]
        await self._ask_some(commands, slots, range(len(commands)), replies)
        until = asyncio.get_running_loop().time() + REPLY_TIMEOUT_S
        while again := [place for place, reply in enumerate(replies) if _elsewhere(reply)]:
            if asyncio.get_running_loop().time() > until:
                raise StoreUnavailable(f"{self._address}: {replies[again[0]]}")
            await self._map()
            await self._ask_some(commands, slots, again, replies)
            if any(_elsewhere(replies[place]) for place in again):
                await asyncio.sleep(MAP_WAIT_S)
        return replies

    async def ask_everywhere(self, asked: bytes) -> list[Any]:
        """A command's reply of every master. Raises StoreUnavailable when one does not answer."""
        await self._map()
        masters = {owner for owner in self._owners if owner}
        return [reply for node in sorted(masters) for reply in await self._node(node).ask([asked])]

    def close(self) -> None:
        for node in self._nodes.values():
            node.close()

    async def _ask_some(
        self, commands: Sequence[bytes], slots: Sequence[int], places: Iterable[int], replies: list[Any]
    ) -> None:
        """Puts the replies to the commands at some places there; of a node that does not answer, the reason."""
        shares: dict[Node | None, list[int]] = {}
        for place in places:
            shares.setdefault(self._owners[slots[place]], []).append(place)

        async def ask(node: Node | None, share: list[int]) -> None:
            try:
                if node is None:
                    raise StoreUnavailable("nobody holds the slot")
                answers = await self._node(node).ask([commands[place] for place in share])
            except StoreUnavailable as error:
                answers = [error] * len(share)
            for place, answer in zip(share, answers, strict=True):
                replies[place] = answer

        await asyncio.gather(*(ask(node, share) for node, share in shares.items()))

    async def _map(self) -> None:
        if self._mapping is None:
            self._mapping = asyncio.create_task(self._read_map())
        await asyncio.shield(self._mapping)

    async def _read_map(self) -> None:
        """Asks those nodes that are known to hold slots, then those of the address. Raises StoreUnavailable."""
        problems = []
        try:
            for node in dict.fromkeys([*(owner for owner in set(self._owners) if owner), *self._address.nodes]):
                try:
                    (reply,) = await self._node(node).ask([command(b"CLUSTER", b"SLOTS")])
                except StoreUnavailable as error:
                    problems.append(str(error))
                    continue
                if isinstance(reply, list) and reply:
                    self._use(reply, node)
                    return
                problems.append(f"{node[0]}:{node[1]}: {reply or 'it knows no slots'}")
        finally:
            self._mapping = None
        raise StoreUnavailable(f"{self._address}: {'; '.join(problems)}")

    def _use(self, ranges: list[Any], asked: Node) -> None:
        owners: list[Node | None] = [None] * SLOTS
        for first, last, master, *_ in ranges:
            # A node that does not know its own name leaves it out.
            owner = ((master[0] or b"").decode() or asked[0], int(master[1]))
            owners[first : last + 1] = [owner] * (last + 1 - first)
        if owners != self._owners:
            log.info("the cluster has %d masters", len({owner for owner in owners if owner}))
        self._owners = owners
        known = {owner for owner in owners if owner} | set(self._address.nodes)
        for node in [node for node in self._nodes if node not in known]:
            self._nodes.pop(node).close()

    def _node(self, node: Node) -> RedisConnection:
        if node not in self._nodes:
            self._nodes[node] = RedisConnection(self._address, node)
        return self._nodes[node]


def key_of(one: bytes) -> bytes:
    """The second word of a command."""
    at = one.index(b"\r\n$", one.index(b"\r\n$") + 3) + 3
    end = one.index(b"\r\n", at)
    return one[end + 2 : end + 2 + int(one[at:end])]


def slot_of(key: bytes) -> int:
    """The key's hash slot, its hash tag respected, as Redis' cluster specification has it."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS


def _elsewhere(reply: Any) -> bool:
    """Whether a reply says that another node may answer, now or in a moment."""
    return isinstance(reply, StoreUnavailable) or (isinstance(reply, Exception) and str(reply).startswith(_MOVED))
