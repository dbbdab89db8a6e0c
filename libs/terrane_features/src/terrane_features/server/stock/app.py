"""The application: which paths exist, and what each of them answers.

Feast's own application has paths that write (`/push`, `/materialize`, `/write-to-online-store`) and answers to anybody
who asks; none of them is reachable through this one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from terrane_features.online_store.address import StoreAddress
from terrane_features.server.stock.registry_copy import RegistryCopy

PROBE = {"socket_connect_timeout": 2, "socket_timeout": 2, "retry": None}


def build_app(definitions: RegistryCopy, redis: StoreAddress) -> Starlette:
    """The application; `definitions` is watched from its start to its end."""

    class GetOnlineFeatures:
        """Hands the request to Feast's application, once there is one."""

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            answer = definitions.app or JSONResponse({"detail": _not_yet(definitions)}, 503)
            await answer(scope, receive, send)

    def health(_: Request) -> Response:
        return Response()

    def ready(_: Request) -> JSONResponse:
        state = readiness(definitions, redis)
        return JSONResponse(state, 200 if state["ready"] else 503)

    @asynccontextmanager
    async def watched(_: Starlette) -> AsyncIterator[None]:
        definitions.start()
        yield
        definitions.stop()

    return Starlette(
        routes=[
            Route("/get-online-features", GetOnlineFeatures(), methods=["POST"]),
            Route("/health", health, methods=["GET"]),
            Route("/ready", ready, methods=["GET"]),
        ],
        lifespan=watched,
    )


def readiness(definitions: RegistryCopy, redis: StoreAddress) -> dict[str, object]:
    """Whether requests can be answered: Redis answers, and the registry was read once, or is known to be empty.

    A registry that went away later only makes `registry_age_seconds` grow: its copy still serves.
    """
    from redis import RedisError

    problem = None if definitions.app or definitions.empty else f"registry: {definitions.problem}"
    try:
        with redis.with_options(**PROBE).client() as client:
            client.ping()
    except RedisError as error:
        problem = f"{redis}: {error}"
    return {
        "ready": problem is None,
        "problem": problem,
        "feature_views": definitions.feature_views(),
        "registry_age_seconds": round(definitions.age_s, 1),
        "registry_problem": definitions.problem,
    }


def _not_yet(definitions: RegistryCopy) -> str:
    if definitions.empty:
        return "no definitions have been applied yet: materialise feast/registry"
    return f"the registry was not read yet ({definitions.problem}); retry in a moment"
