"""Asks a code server whether its definitions load: what a pod waits for before it takes the place of an older one.

A code server whose import failed answers Dagster's own health check all the same, so that the UI can show the error.
"""

from __future__ import annotations

import socket
import sys

ASK_TIMEOUT_S = 10


class NotLoaded(RuntimeError):
    """The server does not listen yet, or its definitions do not load."""


def require_loaded(port: int) -> None:
    """Raises NotLoaded with the reason, the last line of which names the error."""
    _require_listening(port)
    from dagster._grpc.client import DagsterGrpcClient
    from dagster._grpc.types import ListRepositoriesResponse
    from dagster._serdes import deserialize_value
    from dagster_shared.error import SerializableErrorInfo

    answer = deserialize_value(
        DagsterGrpcClient(port=port, host="127.0.0.1").list_repositories(),
        (ListRepositoriesResponse, SerializableErrorInfo),
    )
    if isinstance(answer, SerializableErrorInfo):
        raise NotLoaded(f"the definitions do not load: {answer.message.strip()}")


def _require_listening(port: int) -> None:
    """Importing Dagster costs 2 s of CPU, which a server that is about to start needs itself."""
    try:
        socket.create_connection(("127.0.0.1", port), ASK_TIMEOUT_S).close()
    except OSError:
        raise NotLoaded(f"nothing listens on port {port} yet") from None


if __name__ == "__main__":
    try:
        require_loaded(int(sys.argv[1]))
    except NotLoaded as problem:
        sys.exit(str(problem))
