"""One connection to a Redis that all requests share: their commands follow one another without waiting for replies.

A connection that broke is made anew when the next request needs it, and a request that was under way when it broke is
sent once more: all that is sent here only reads.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

from terrane.store_advice import redis_advice
from terrane_features.online_store.address import StoreAddress

log = logging.getLogger("terrane_features.server.redis")
CONNECT_TIMEOUT_S = 2.0
REPLY_TIMEOUT_S = 2.0
WATCH_EVERY_S = 0.25

Node = tuple[str, int]


class StoreUnavailable(ConnectionError):
    """Redis does not answer, or refuses us; the message says which Redis, and why."""


class RedisConnection:
    """Asks one Redis; behind sentinels, the one that is the master when it connects. For one event loop.

    Attributes:
        connections: how many were made since the start.
    """

    def __init__(self, address: StoreAddress, node: Node | None = None) -> None:
        """Takes the address for how to get in, and a node of it where it has several."""
        self.connections = 0
        self._address, self._node = address, node
        self._connection: _Connection | None = None
        self._connecting: asyncio.Task[_Connection] | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.up

    async def ask(self, commands: Sequence[bytes]) -> list[Any]:
        """The replies to commands in Redis's protocol, in order; a reply that is an error is a hiredis.ReplyError.

        Raises StoreUnavailable.
        """
        joined, replies = b"".join(commands), len(commands)
        try:
            return await (await self._up()).ask(joined, replies)
        except _Broken as broken:
            if broken.late:
                raise StoreUnavailable(f"{self} has not answered for {REPLY_TIMEOUT_S:.0f} s") from None
        try:
            return await (await self._up()).ask(joined, replies)
        except _Broken as broken:
            raise StoreUnavailable(f"{self} broke the connection twice: {broken}") from None

    async def ask_everywhere(self, command: bytes) -> list[Any]:
        """A command's reply, as a list of one. Raises StoreUnavailable."""
        return await self.ask([command])

    def close(self) -> None:
        if self._connection:
            self._connection.close()

    def __str__(self) -> str:
        return f"{self._address}, node {self._node[0]}:{self._node[1]}" if self._node else str(self._address)

    async def _up(self) -> _Connection:
        if self._connection is not None and self._connection.up:
            return self._connection
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
        # Shielded: the connection is for all who wait for it, whichever of them gives up.
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> _Connection:
        address = self._address
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                host, port = self._node or await _find(address)
                connection = await _open(host, port, tls_context(address) if address.tls is not None else None)
                await _enter(connection, address)
        except (OSError, TimeoutError, _Broken) as error:
            raise StoreUnavailable(_told(f"{self}: {error or 'no answer'}")) from error
        finally:
            self._connecting = None
        self._connection = connection
        self.connections += 1
        log.info("connected to %s", self)
        return connection


def command(*parts: bytes) -> bytes:
    """A command in Redis's protocol."""
    return b"*%d\r\n%s" % (len(parts), b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))


def tls_context(address: StoreAddress) -> ssl.SSLContext:
    """TLS by redis-py's options: `ssl_` and `ca_certs`, `certfile`, `keyfile`, `check_hostname`, `cert_reqs`."""
    options = dict(address.tls or {})
    authority = options.get("ca_certs") or None
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise StoreUnavailable(f"{address}: REDIS_CA_FILE names {authority}, which cannot be read: {error}") from error
    context.check_hostname = bool(options.get("check_hostname", True))
    if options.get("cert_reqs") == "none":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if "certfile" in options:
        context.load_cert_chain(options["certfile"], options.get("keyfile"))
    return context


def first_error(replies: Sequence[Any]) -> str:
    """The first reply that is an error, as text; empty when none is."""
    return next((str(reply) for reply in replies if isinstance(reply, Exception)), "")


def _told(reason: str) -> str:
    """The reason, with the variables to look at where Redis refuses us."""
    advice = redis_advice(reason)
    return f"{reason}; see {advice}" if advice else reason


async def _find(address: StoreAddress) -> Node:
    """Where the Redis is: what the first sentinel that answers says. Raises StoreUnavailable."""
    if address.kind != "redis_sentinel":
        return address.nodes[0]
    problems = []
    for host, port in address.nodes:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S / (len(address.nodes) + 1)):
                connection = await _open(host, port, None)
                try:
                    asked = command(b"SENTINEL", b"get-master-addr-by-name", address.master.encode())
                    (reply,) = await connection.ask(asked, 1)
                finally:
                    connection.close()
        except (OSError, TimeoutError, _Broken) as error:
            problems.append(f"{host}:{port}: {error or 'no answer'}")
            continue
        if isinstance(reply, list):
            return reply[0].decode(), int(reply[1])
        problems.append(f"{host}:{port} knows no {address.master}")
    raise StoreUnavailable(f"{address}: {'; '.join(problems)}")


async def _open(host: str, port: int, secure: ssl.SSLContext | None) -> _Connection:
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, host, port, ssl=secure)
    return connection


async def _enter(connection: _Connection, address: StoreAddress) -> None:
    """Authenticates and selects the database, which a cluster has one of. Raises StoreUnavailable."""
    steps = []
    if address.password:
        user = [address.username.encode()] if address.username else []
        steps.append(command(b"AUTH", *user, address.password.encode()))
    if address.kind != "redis_cluster":
        steps.append(command(b"SELECT", str(address.database).encode()))
    for reply in await connection.ask(b"".join(steps), len(steps)) if steps else ():
        if isinstance(reply, Exception):
            connection.close()
            raise StoreUnavailable(_told(f"{address} refuses us: {reply}"))


class _Broken(ConnectionError):
    """The connection went away with replies outstanding; `late` when it was given up because none came."""

    late = False


class _Connection(asyncio.Protocol):
    """A connection, and who waits for how many replies, in order."""

    def __init__(self) -> None:
        from hiredis import Reader

        self.up = False
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._waiting: deque[tuple[asyncio.Future[list[Any]], int, list[Any], float]] = deque()
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None

    def ask(self, commands: bytes, replies: int) -> asyncio.Future[list[Any]]:
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        if not self.up or self._transport is None:
            future.set_exception(_Broken("it is closed"))
            return future
        self._waiting.append((future, replies, [], self._loop.time()))
        self._transport.write(commands)
        return future

    def close(self) -> None:
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.up = cast(asyncio.Transport, transport), True
        self._watch = self._loop.call_later(WATCH_EVERY_S, self._give_up_when_late)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        next_reply = self._reader.gets
        waiting = self._waiting
        while waiting:
            future, replies, got, _ = waiting[0]
            while len(got) < replies:
                reply = next_reply()
                if reply is False:
                    return
                got.append(reply)
            waiting.popleft()
            if not future.done():
                future.set_result(got)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(_Broken(str(exc or "closed by Redis")))

    def _give_up_when_late(self) -> None:
        """Gives the connection up when its oldest request was not answered in time."""
        if self._waiting and self._loop.time() - self._waiting[0][3] > REPLY_TIMEOUT_S:
            late = _Broken("no reply in time")
            late.late = True
            self._fail(late)
            self.close()
        elif self.up:
            self._watch = self._loop.call_later(WATCH_EVERY_S, self._give_up_when_late)

    def _fail(self, error: _Broken) -> None:
        self.up = False
        if self._watch:
            self._watch.cancel()
        while self._waiting:
            future = self._waiting.popleft()[0]
            if not future.done():
                future.set_exception(error)
