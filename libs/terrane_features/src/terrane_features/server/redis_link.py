"""One connection to Redis that all requests share: their commands follow one another without waiting for replies.

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

from terrane_features.server.settings import RedisAddress

log = logging.getLogger("terrane_features.server.redis")
CONNECT_TIMEOUT_S = 2.0
REPLY_TIMEOUT_S = 2.0
WATCH_EVERY_S = 0.25


class StoreAway(ConnectionError):
    """Redis does not answer, or refuses us; the message says which Redis, and why."""


class RedisLink:
    """Asks Redis. To be used in one event loop.

    Attributes:
        connections: how many were made since the start.
    """

    def __init__(self, address: RedisAddress) -> None:
        self.connections = 0
        self._address = address
        self._wire: _Wire | None = None
        self._connecting: asyncio.Task[_Wire] | None = None

    @property
    def connected(self) -> bool:
        return self._wire is not None and self._wire.up

    async def ask(self, commands: bytes, replies: int) -> list[Any]:
        """The replies to commands in Redis's protocol, in order; a reply that is an error is a hiredis.ReplyError.

        Raises StoreAway.
        """
        try:
            return await (await self._up()).ask(commands, replies)
        except _Broken as broken:
            if broken.late:
                raise StoreAway(f"{self._address} has not answered for {REPLY_TIMEOUT_S:.0f} s") from None
        try:
            return await (await self._up()).ask(commands, replies)
        except _Broken as broken:
            raise StoreAway(f"{self._address} broke the connection twice: {broken}") from None

    def close(self) -> None:
        if self._wire:
            self._wire.close()

    async def _up(self) -> _Wire:
        if self._wire is not None and self._wire.up:
            return self._wire
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
        # Shielded: the connection is for all who wait for it, whichever of them gives up.
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> _Wire:
        address = self._address
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                secure = tls_context(address) if address.tls is not None else None
                _, wire = await loop.create_connection(_Wire, address.host, address.port, ssl=secure)
                await _enter(wire, address)
        except (OSError, TimeoutError, _Broken) as error:
            raise StoreAway(f"{address}: {error or 'no answer'}") from error
        finally:
            self._connecting = None
        self._wire = wire
        self.connections += 1
        log.info("connected to %s", address)
        return wire


def command(*parts: bytes) -> bytes:
    """A command in Redis's protocol."""
    return b"*%d\r\n%s" % (len(parts), b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))


def tls_context(address: RedisAddress) -> ssl.SSLContext:
    """TLS by redis-py's options: `ssl_` and `ca_certs`, `certfile`, `keyfile`, `check_hostname`, `cert_reqs`."""
    options = dict(address.tls or ())
    context = ssl.create_default_context(cafile=options.get("ca_certs"))
    context.check_hostname = options.get("check_hostname", "true").lower() == "true"
    if options.get("cert_reqs") == "none":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if "certfile" in options:
        context.load_cert_chain(options["certfile"], options.get("keyfile"))
    return context


async def _enter(wire: _Wire, address: RedisAddress) -> None:
    """Authenticates and selects the database. Raises StoreAway."""
    steps = []
    if address.password:
        user = [address.username.encode()] if address.username else []
        steps.append(command(b"AUTH", *user, address.password.encode()))
    steps.append(command(b"SELECT", str(address.db).encode()))
    for reply in await wire.ask(b"".join(steps), len(steps)):
        if isinstance(reply, Exception):
            wire.close()
            raise StoreAway(f"{address} refuses us: {reply}")


class _Broken(ConnectionError):
    """The connection went away with replies outstanding; `late` when it was given up because none came."""

    late = False


class _Wire(asyncio.Protocol):
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
        self._watch = self._loop.call_later(WATCH_EVERY_S, self._look)

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

    def _look(self) -> None:
        """Gives the connection up when its oldest question was not answered in time."""
        if self._waiting and self._loop.time() - self._waiting[0][3] > REPLY_TIMEOUT_S:
            late = _Broken("no reply in time")
            late.late = True
            self._fail(late)
            self.close()
        elif self.up:
            self._watch = self._loop.call_later(WATCH_EVERY_S, self._look)

    def _fail(self, error: _Broken) -> None:
        self.up = False
        if self._watch:
            self._watch.cancel()
        while self._waiting:
            future = self._waiting.popleft()[0]
            if not future.done():
                future.set_exception(error)


def first_error(replies: Sequence[Any]) -> str:
    """The first reply that is an error, as text; empty when none is."""
    return next((str(reply) for reply in replies if isinstance(reply, Exception)), "")
