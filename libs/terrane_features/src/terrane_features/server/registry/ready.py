"""Whether requests can be answered: the registry was read, Redis answers, and a row can be read back from it."""

from __future__ import annotations

from typing import Any

from terrane_features.online_store.format import timestamp_field
from terrane_features.server.redis import RedisConnection, StoreUnavailable, command, first_error
from terrane_features.server.registry.catalog import Catalog
from terrane_features.server.registry.watch import RegistryWatcher

TRIES = 16


class Readiness:
    """Looks at both stores. A canary is some key of Redis that holds a row of a view; it is kept while it does."""

    def __init__(self, watch: RegistryWatcher, link: RedisConnection) -> None:
        self._watch, self._link = watch, link
        self._canary: tuple[bytes, str] | None = None

    async def state(self) -> dict[str, object]:
        """What /ready answers. A registry that went away later only makes `registry_age_seconds` grow."""
        watch = self._watch
        problem = None if watch.catalog or watch.empty else f"registry: {watch.problem}"
        try:
            problem = await self._redis_problem(watch.catalog) or problem
        except StoreUnavailable as error:
            problem = str(error)
        return {
            "ready": problem is None,
            "problem": problem,
            "feature_views": watch.feature_views(),
            "canary": self._canary[1] if self._canary else None,
            "registry_age_seconds": round(watch.age_s, 1),
            "registry_problem": watch.problem,
        }

    async def _redis_problem(self, catalog: Catalog | None) -> str | None:
        pong, size = await self._ask(command(b"PING"), command(b"DBSIZE"))
        if error := first_error([pong, size]):
            return f"Redis refuses us: {error}"
        if catalog is None:
            return None
        if not await self._canary_lives():
            self._canary = await self._new_canary(catalog)
        materialized = [view.name for view in catalog.views.values() if view.materialized]
        if size == 0 and materialized:
            return f"Redis is empty, though {', '.join(materialized)} were materialised: materialise online/* again"
        return None

    async def _canary_lives(self) -> bool:
        if self._canary is None:
            return False
        key, view = self._canary
        (row,) = await self._ask(command(b"HMGET", key, timestamp_field(view)))
        return isinstance(row, list) and bool(row[0])

    async def _new_canary(self, catalog: Catalog) -> tuple[bytes, str] | None:
        """A random key that holds a row of a view, if one of some tries does."""
        views = [view.name for view in catalog.views.values() if view.materialized]
        if not views:
            return None
        found = await self._ask(*[command(b"RANDOMKEY")] * TRIES)
        keys = sorted({key for key in found if isinstance(key, bytes)})
        fields = [timestamp_field(view) for view in views]
        rows = await self._ask(*(command(b"HMGET", key, *fields) for key in keys)) if keys else []
        for key, row in zip(keys, rows, strict=True):
            for view, at in zip(views, row if isinstance(row, list) else [], strict=False):
                if at:
                    return key, view
        return None

    async def _ask(self, *commands: bytes) -> list[Any]:
        return await self._link.ask(b"".join(commands), len(commands))
