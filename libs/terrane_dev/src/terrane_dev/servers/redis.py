"""A Redis server: its configuration, which goes to its standard input because it holds the password."""

from __future__ import annotations

import shutil
import socket
import ssl
from pathlib import Path

from terrane_dev.servers.certificates import Authority


def find_program() -> str | None:
    return shutil.which("redis-server")


def command(program: str) -> list[str]:
    """The command line; `configuration` goes to its standard input."""
    return [program, "-"]


def configuration(port: int, password: str, data: Path) -> str:
    return "\n".join(
        [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f"dir {data}",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "databases 64",
            "",
        ]
    )


def answers(port: int, password: str) -> bool:
    """Whether the server lets the password in and answers a PING."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            return b"+PONG" in _read(connection)
    except OSError:
        return False


def answers_tls(port: int, authority: Authority) -> bool:
    """Whether the server answers over TLS, if only that a password is wanted."""
    context = ssl.create_default_context(cafile=authority.certificate)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=2) as connection,
            context.wrap_socket(connection, server_hostname="localhost") as secured,
        ):
            secured.sendall(b"PING\r\n")
            return bool(secured.recv(256))
    except OSError:
        return False


def _read(connection: socket.socket) -> bytes:
    """Both replies, which may come in one piece or in two."""
    text = b""
    while text.count(b"\n") < 2 and (piece := connection.recv(256)):
        text += piece
    return text
