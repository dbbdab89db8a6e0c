"""What the probes of a code server's pod ask: do its definitions load, and does it answer.

`python -m terrane.pods.code_server <port>` is for the pod's start: a server whose import failed answers Dagster's own
health check all the same, so that the UI can show the error, and would take the place of one that works.
`python -m terrane.pods.code_server --health <port>` is that health check without Dagster, whose import costs 2 s of
CPU.
"""

from __future__ import annotations

import argparse
import socket
import sys

TIMEOUT_S = 10
# The standard health service of gRPC, asked for the service DagsterApi: one field each, so the bytes are written out.
# https://github.com/grpc/grpc/blob/master/doc/health-checking.md
HEALTH_METHOD = "/grpc.health.v1.Health/Check"
HEALTH_REQUEST = b"\x0a\x0aDagsterApi"
SERVING = b"\x08\x01"


class NotReady(RuntimeError):
    """The server does not answer, or its definitions do not load."""


def require_loaded(port: int) -> None:
    """Raises NotReady with the reason, the last line of which names the error."""
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
        raise NotReady(f"the definitions do not load: {answer.message.strip()}")


def require_healthy(port: int) -> None:
    """Raises NotReady unless the server says that it serves."""
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = channel.unary_unary(HEALTH_METHOD)(HEALTH_REQUEST, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            raise NotReady(f"the server on port {port} does not answer: {error}") from None
    if answer != SERVING:
        raise NotReady(f"the server on port {port} says that it does not serve")


def _require_listening(port: int) -> None:
    """A server that is about to start needs the CPU itself which importing Dagster would cost."""
    try:
        socket.create_connection(("127.0.0.1", port), TIMEOUT_S).close()
    except OSError:
        raise NotReady(f"nothing listens on port {port} yet") from None


def main() -> int:
    parser = argparse.ArgumentParser(description="Whether a code server is ready; its reason otherwise.")
    parser.add_argument("port", type=int)
    parser.add_argument("--health", action="store_true", help="whether it answers, and not whether its code loads")
    options = parser.parse_args()
    try:
        (require_healthy if options.health else require_loaded)(options.port)
    except NotReady as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
