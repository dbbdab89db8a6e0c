"""The server's copy of the registry: opened when there is one, and looked at again every few seconds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from terrane.postgres import PostgresResource
from terrane_features.feast_internals import refresh_by_hand, registry_read_at, serving_store
from terrane_features.registry.state import try_shared_lock
from terrane_features.resources import FeastResource
from terrane_features.server.registry.repeat import Repeating

if TYPE_CHECKING:
    from fastapi import FastAPI
    from feast import FeatureStore

log = logging.getLogger("terrane_features.server")


class RegistryCopy(Repeating):
    """Keeps what Feast knows up to date, in a thread of its own.

    Attributes:
        app: Feast's own server application; None until the registry was read for the first time.
        problem: why the last look failed; None when it did not.
        empty: nobody has applied anything yet, which is no problem.
    """

    def __init__(self, feast: FeastResource, warehouse: PostgresResource, refresh_s: float) -> None:
        super().__init__(refresh_s, "definitions")
        self.app: FastAPI | None = None
        self.problem: str | None = "starting"
        self.empty = False
        self._feast = feast
        self._warehouse = warehouse
        self._store: FeatureStore | None = None
        self._known: int | None = None

    def feature_views(self) -> int:
        """How many views the copy holds."""
        return len(self._store.list_feature_views(allow_cache=True)) if self._store and self.app else 0

    def _run_once(self) -> None:
        try:
            with try_shared_lock(self._warehouse, self._feast.repository().project) as nobody_writes:
                if not nobody_writes:
                    return
                self._refresh() if self.app else self._open()
        except Exception as error:
            self._report(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
            return
        self._succeeded()
        self._report(None)

    def _report(self, problem: str | None) -> None:
        """Logs what is new since the last look, so that a quiet log means that nothing changed."""
        known = None if self.empty else self.feature_views()
        if problem and problem != self.problem:
            log.warning("the registry cannot be read, serving what is known: %s", problem)
        elif not problem and (self.problem, known) != (None, self._known):
            log.info(
                "nobody has applied definitions yet"
                if known is None
                else f"the registry is read, {known} feature views"
            )
        self.problem, self._known = problem, known

    def _open(self) -> None:
        self._store = self._store or serving_store(self._feast.folder, "feast.feature_server")
        from feast.infra.registry.sql import FeastRegistrySchemaError

        try:
            _ = self._store.registry
        except FeastRegistrySchemaError:
            self.empty = True
            return
        # Feast would otherwise read the database inside a request when its copy is old, and a request would wait for a
        # database that is away.
        refresh_by_hand(self._store)
        self.app = _reading_app(self._store)
        self.empty = False

    def _refresh(self) -> None:
        """Reads the registry anew. Feast keeps its copy, and silence, when it cannot: so the copy's age is compared."""
        assert self._store is not None
        before = registry_read_at(self._store)
        self._store.refresh_registry()
        if registry_read_at(self._store) == before:
            raise ConnectionError("the warehouse does not answer")


def _reading_app(store: FeatureStore) -> FastAPI:
    """Feast's application, with errors that its clients can act upon."""
    from fastapi import Request
    from fastapi.responses import JSONResponse
    from feast.errors import FeastError
    from feast.feature_server import get_app
    from redis import RedisError

    app = get_app(store, registry_ttl_sec=0)

    async def feast_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, FeastError)
        return JSONResponse(error.to_error_detail(), error.http_status_code())

    async def request_error(_: Request, error: Exception) -> JSONResponse:
        log.warning("a request was refused: %s", error)
        return JSONResponse({"detail": str(error.args[0] if error.args else error)}, 400)

    async def redis_error(_: Request, error: Exception) -> JSONResponse:
        log.warning("Redis did not answer: %s", error)
        return JSONResponse({"detail": "the online store does not answer; retry in a moment"}, 503)

    app.add_exception_handler(FeastError, feast_error)
    app.add_exception_handler(RedisError, redis_error)
    # An unknown feature, a missing join key, a key of the wrong type: Feast's own server answers 500 to them.
    app.add_exception_handler(KeyError, request_error)
    app.add_exception_handler(ValueError, request_error)
    return app
