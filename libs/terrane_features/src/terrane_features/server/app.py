"""The application, in ASGI: which paths exist, and what each of them answers.

No framework stands between a request and its answer, because its share of the time would be greater than Redis's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from terrane_features.online_store.address import StoreAddress
from terrane_features.server import metrics as metrics_module
from terrane_features.server.auth import Authenticator
from terrane_features.server.cluster import ClusterConnection
from terrane_features.server.fallback import FeastFallback
from terrane_features.server.metrics import Metrics
from terrane_features.server.openapi import document
from terrane_features.server.redis import RedisConnection
from terrane_features.server.registry.ready import Readiness
from terrane_features.server.registry.watch import RegistryWatcher
from terrane_features.server.request.body import Bodies
from terrane_features.server.request.errors import RequestError, too_much, unavailable
from terrane_features.server.request.parse import parse
from terrane_features.server.request.plan import Planner
from terrane_features.server.response.answer import LargeAnswer
from terrane_features.server.response.read import FeatureReader
from terrane_features.server.settings import Settings

log = logging.getLogger("terrane_features.server")
ONLINE_FEATURES = "/get-online-features"
JSON = b"application/json"

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Reply = tuple[int, bytes, bytes | LargeAnswer, Sequence[tuple[bytes, bytes]]]


class App:
    """The feature server. `watch` runs from the application's start to its end."""

    def __init__(self, settings: Settings, watch: RegistryWatcher) -> None:
        self._settings, self._watch = settings, watch
        self._store = connect(settings.store) if settings.store else None
        self._metrics = Metrics()
        self._bodies = Bodies(settings.max_body_bytes)
        self._reader = FeatureReader(self._store, self._metrics) if self._store else None
        self._fallback = FeastFallback(settings.repository, answers_all=bool(settings.fallback_reason))
        self._authenticator = Authenticator(settings.access)
        self._readiness = Readiness(watch, self._store)
        self._planner: Planner | None = None
        self._openapi = orjson.dumps(document(self._authenticator.open, settings.max_entities))
        self._paths = {
            "/health": self._health,
            "/ready": self._ready,
            "/metrics": self._scrape,
            "/openapi.json": self._api,
        }
        watch.on_change = self._fallback.prepare
        self._metrics.watch("registry_age_seconds", "Since the registry was last looked at", lambda: watch.age_s)
        self._metrics.watch("registry_failures", "Looks at the registry that failed", lambda: watch.failures)
        self._metrics.watch("feature_views", "Views that are known", lambda: watch.feature_views())
        if store := self._store:
            self._metrics.watch("redis_connections", "Connections made to Redis", lambda: store.connections)
            self._metrics.watch("redis_up", "Whether Redis is connected", lambda: float(store.connected))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            if path == ONLINE_FEATURES and method == "POST":
                status, kind, body, headers = await self._request(scope, receive)
            elif path in self._paths or path == ONLINE_FEATURES:
                allowed = "POST" if path == ONLINE_FEATURES else "GET"
                reply = await self._paths[path]() if method == allowed else _wrong_method(allowed)
                status, kind, body, headers = reply
            else:
                status, kind, body, headers = 404, JSON, b'{"detail":"Not Found"}', ()
            length = len(body) if isinstance(body, bytes) else body.length
            all_headers = [(b"content-type", kind), (b"content-length", b"%d" % length), *headers]
            start = {"type": "http.response.start", "status": status, "headers": all_headers}
            if isinstance(body, bytes):
                await send(start)
                await send({"type": "http.response.body", "body": body})
            else:
                await _send_in_pieces(start, body, send)

    async def _request(self, scope: Scope, receive: Receive) -> Reply:
        began = time.perf_counter()
        try:
            await self._authenticator.check(scope["headers"])
            status, body, headers = 200, await self._answered(receive), ()
        except RequestError as refused:
            status, body, headers = refused.status, orjson.dumps(refused.content), refused.headers
            log.log(
                logging.WARNING if status >= 500 else logging.INFO,
                "refused: %s",
                refused.reason,
                extra={"status": status},
            )
        except Exception:
            log.exception("a request was not answered", extra={"status": 500})
            status, body, headers = 500, b'{"detail":"the server failed; its log says how"}', ()
        self._metrics.count_request(status, time.perf_counter() - began)
        return status, JSON, body, headers

    async def _answered(self, receive: Receive) -> bytes | LargeAnswer:
        async with self._bodies.read(receive) as body:
            return await self._answer(body)

    async def _answer(self, body: bytes) -> bytes | LargeAnswer:
        catalog = self._watch.catalog
        if catalog is None:
            raise unavailable(self._not_yet())
        planner = self._planner
        if planner is None or planner.catalog is not catalog:
            planner = self._planner = Planner(catalog)
        request = parse(body, self._settings.max_entities)
        self._metrics.entities.observe(request.rows)
        if self._reader is None or self._settings.fallback_reason:
            self._metrics.handed_over.inc()
            return await self._fallback.answer(request, names=None)
        plan = planner.plan(request)
        if (asked := request.rows * plan.width) > self._settings.max_values:
            raise too_much(f"{asked} values are asked for; ask for at most {self._settings.max_values} at a time")
        if plan.fallback_reason:
            self._metrics.handed_over.inc()
            return await self._fallback.answer(request, plan.names)
        return await self._reader.answer(request, plan)

    def _not_yet(self) -> str:
        if self._watch.empty:
            return "no definitions have been applied yet: materialise feast/registry"
        return "the registry was not read yet; retry in a moment"

    async def _health(self) -> Reply:
        return 200, JSON, b'{"status":"alive"}', ()

    async def _ready(self) -> Reply:
        state = await self._readiness.state()
        return 200 if state["ready"] else 503, JSON, orjson.dumps(state), ()

    async def _scrape(self) -> Reply:
        return 200, metrics_module.CONTENT_TYPE, self._metrics.text(), ()

    async def _api(self) -> Reply:
        return 200, JSON, self._openapi, ()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._watch.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self._watch.stop()
                self._fallback.close()
                if self._store:
                    self._store.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _send_in_pieces(start: dict[str, Any], answer: LargeAnswer, send: Send) -> None:
    try:
        await send(start)
        for piece in answer:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        answer.close()


def _wrong_method(allowed: str) -> Reply:
    return 405, JSON, b'{"detail":"Method Not Allowed"}', [(b"allow", allowed.encode())]


def connect(address: StoreAddress) -> RedisConnection | ClusterConnection:
    """What asks the online store; it connects at the first request."""
    return ClusterConnection(address) if address.kind == "redis_cluster" else RedisConnection(address)
