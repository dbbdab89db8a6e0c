"""A pipelined connection to one Redis: bytes go out while replies come in, in one thread, over TCP and TLS alike.

The connection itself, with its address, password, user, TLS and database, is redis-py's, from Feast's own settings.
"""

from __future__ import annotations

import select
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis

# What Redis may keep a writer waiting for, an AOF rewrite or a slow command of somebody else.
TIMEOUT_S = 60
PIECE = 1 << 18
_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class PipelinedConnection:
    """Sends commands that are encoded already.

    Commands of one connection are of one purpose: either replies are counted (`send` and `finish`), or read (`ask`).
    """

    def __init__(self, client: Redis, timeout_s: float) -> None:
        """Raises redis.RedisError when there is no connection to be had."""
        self._pool = client.connection_pool
        self._connection: Any = self._pool.get_connection()
        self._socket = self._connection._sock
        self._socket.setblocking(False)
        self._timeout_ms = timeout_s * 1000
        self._outstanding = self._ones = 0
        self._begun = b""
        self._poller = select.poll()
        self._events = 0

    def __enter__(self) -> PipelinedConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.disconnect()
        self._pool.release(self._connection)

    def send(self, commands: memoryview, replies: int) -> None:
        """Sends commands whose replies are integers, and counts what comes back meanwhile. Raises redis.RedisError."""
        self._outstanding += replies
        at = 0
        while at < len(commands):
            readable, writable = self._wait(writing=True)
            if readable:
                self._count()
            if writable:
                at += self._put(commands[at : at + PIECE])

    def finish(self) -> int:
        """Waits for every reply; returns how many of them were exactly 1. Raises redis.RedisError."""
        while self._outstanding:
            self._wait(writing=False)
            self._count()
        return self._ones

    def ask(self, commands: memoryview, replies: int) -> list[Any]:
        """Sends commands and returns their replies, as bytes, int or None. Raises redis.RedisError."""
        import hiredis
        from redis.exceptions import ResponseError

        reader = hiredis.Reader(replyError=lambda text: ResponseError(text))
        answers: list[Any] = []
        at = 0
        while at < len(commands) or len(answers) < replies:
            readable, writable = self._wait(writing=at < len(commands))
            if readable:
                for piece in self._pieces():
                    reader.feed(piece)
                while len(answers) < replies and (answer := reader.gets()) is not False:
                    if isinstance(answer, ResponseError):
                        raise answer
                    answers.append(answer)
            if writable:
                at += self._put(commands[at : at + PIECE])
        return answers

    def _count(self) -> None:
        """Counts the replies that have arrived whole; of the last, the beginning waits for the next piece."""
        for piece in self._pieces():
            lines = self._begun + piece
            end = lines.rfind(b"\n") + 1
            self._begun = lines[end:]
            whole = b"\n" + lines[:end]
            if (error := whole.find(b"\n-")) >= 0:
                _refuse(whole[error + 2 :].split(b"\r", 1)[0])
            self._outstanding -= whole.count(b"\n") - 1
            self._ones += whole.count(b"\n:1\r")

    def _pieces(self) -> list[bytes]:
        """All that has arrived."""
        from redis import exceptions

        pieces: list[bytes] = []
        while True:
            try:
                piece = self._socket.recv(PIECE)
            except _LATER:
                return pieces
            except OSError as error:
                raise exceptions.ConnectionError(f"the connection to Redis broke: {error}") from error
            if not piece:
                raise exceptions.ConnectionError("Redis closed the connection")
            pieces.append(piece)

    def _put(self, piece: memoryview) -> int:
        from redis import exceptions

        try:
            return self._socket.send(piece)
        except _LATER:
            return 0
        except OSError as error:
            raise exceptions.ConnectionError(f"the connection to Redis broke: {error}") from error

    def _wait(self, *, writing: bool) -> tuple[bool, bool]:
        """Until there is something to read, or room to write; which of both."""
        from redis import exceptions

        pending = getattr(self._socket, "pending", None)
        if pending is not None and pending():
            return True, writing
        wanted = select.POLLIN | (select.POLLOUT if writing else 0)
        if wanted != self._events:
            self._poller.register(self._socket.fileno(), wanted)
            self._events = wanted
        ready = self._poller.poll(self._timeout_ms)
        if not ready:
            raise exceptions.TimeoutError(f"Redis took and gave nothing for {self._timeout_ms / 1000:.0f} s")
        mask = ready[0][1]
        return bool(mask & ~select.POLLOUT), bool(mask & select.POLLOUT)


def _refuse(text: bytes) -> None:
    from redis.exceptions import ResponseError

    raise ResponseError(text.decode(errors="replace"))
