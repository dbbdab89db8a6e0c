"""A proxy in front of an object store that counts the requests that go through it, whoever sends them."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from terrane.object_store import ObjectStoreResource

REQUEST = re.compile(rb"(?:GET|PUT|HEAD|POST|DELETE) \S+ HTTP/1\.1\r\n")
CHUNK = 1 << 16


@contextmanager
def counted(store: ObjectStoreResource) -> Iterator[tuple[ObjectStoreResource, Callable[[], int]]]:
    """The store behind a proxy, and how many requests it has seen. For requests without bodies of that form."""
    host, port = store.endpoint.rsplit(":", 1)
    seen: list[bytes] = []

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, int(port))) as behind:
                answers = threading.Thread(target=_copy, args=(behind, self.request), daemon=True)
                answers.start()
                while chunk := self.request.recv(CHUNK):
                    seen.extend(REQUEST.findall(chunk))
                    behind.sendall(chunk)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Forward) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            # A copy would keep the configuration that Dagster took from the first.
            fields = store.model_dump(include={"access_key", "secret_key", "region"})
            yield ObjectStoreResource(endpoint=f"127.0.0.1:{proxy.server_address[1]}", **fields), lambda: len(seen)
        finally:
            proxy.shutdown()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    except OSError:
        return
