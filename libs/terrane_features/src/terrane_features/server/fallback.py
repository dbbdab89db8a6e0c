"""Questions that Feast's own code answers: on-demand views, whatever else a plan hands over, and all of them where the
online store is none that ours reads.

Feast is imported by the first catalog that needs it, in the thread that watches the registry, and reads in threads of
its own, so that nobody else waits for somebody's transformation.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from terrane_features.feast_internals import refresh_by_hand, serving_store
from terrane_features.server.registry.catalog import Catalog
from terrane_features.server.request.errors import RequestError, unanswerable, unavailable
from terrane_features.server.request.parse import Request

if TYPE_CHECKING:
    from feast import FeatureStore

log = logging.getLogger("terrane_features.server.fallback")
THREADS = 4
TIMEOUT_S = 10


class FeastFallback:
    """Feast's FeatureStore, once a catalog needs it, or with the first one where it answers everything."""

    def __init__(self, repository: Path, answers_all: bool = False) -> None:
        self._repository, self._answers_all = repository, answers_all
        self._store: FeatureStore | None = None
        self._threads = ThreadPoolExecutor(THREADS, "by-feast")

    @property
    def prepared(self) -> bool:
        return self._store is not None

    def prepare(self, catalog: Catalog) -> None:
        """Makes Feast know what the catalog knows. Takes a while: to be called in a thread that nobody waits for."""
        if not (catalog.needs_feast or self._answers_all):
            return
        if self._store is None:
            store = serving_store(self._repository)
            refresh_by_hand(store)
            self._store = store
        self._store.refresh_registry()

    async def answer(self, request: Request, names: tuple[str, ...] | None) -> bytes:
        """Feast's answer in JSON, its features in the order of `names`, or in Feast's. Raises RequestError."""
        if self._store is None:
            raise unavailable("Feast is being loaded; retry in a moment")
        reading = asyncio.get_running_loop().run_in_executor(self._threads, _read, self._store, request)
        try:
            content = await asyncio.wait_for(reading, TIMEOUT_S)
        except TimeoutError:
            raise unavailable(f"the features were not ready within {TIMEOUT_S} s; ask for fewer entities") from None
        return orjson.dumps(content if names is None else _in_order(content, names))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _read(store: FeatureStore, request: Request) -> dict[str, Any]:
    from feast.errors import FeastError
    from feast.feature_server_utils import convert_response_to_dict
    from redis import RedisError

    try:
        what: Any = request.what
        features = store.get_feature_service(what, allow_cache=True) if isinstance(what, str) else list(what)
        response = store.get_online_features(
            features=features,
            entity_rows=request.entities,  # pyright: ignore[reportArgumentType] - it takes columns, too
            full_feature_names=request.full_names,
            include_feature_view_version_metadata=request.versions,
        )
        return convert_response_to_dict(response.proto)
    except RedisError as error:
        raise unavailable("the online store does not answer; retry in a moment", f"Redis: {error}") from error
    except FeastError as error:
        status = error.http_status_code()
        if status >= 500:
            raise unanswerable(str(error)) from error
        raise RequestError(status, error.to_error_detail(), type(error).__name__) from error
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        # A value of the wrong type, or one that is missing: Feast's own server answers 500 to them.
        message = str(error.args[0] if error.args else type(error).__name__)
        raise RequestError(400, {"detail": message}, f"Feast refuses it: {type(error).__name__}") from error


def _in_order(content: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The same answer: what the request does not name (join keys, request data) first, then features as asked."""
    given = content["metadata"]["feature_names"]
    vectors = dict(zip(given, content["results"], strict=True))
    order = [name for name in given if name not in names] + [name for name in names if name in vectors]
    content["metadata"]["feature_names"] = order
    content["results"] = [vectors[name] for name in order]
    return content
