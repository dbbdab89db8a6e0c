"""Whether requests can be answered: the registry was read, the store answers, and it holds the rows it was given.

A run of `online/<view>` leaves some keys of the rows it wrote in the warehouse. They are asked for here: a store that
was emptied, or is being filled again, lacks them whatever else lies in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from terrane_features.online_store.format import timestamp_field
from terrane_features.server.redis import StoreUnavailable, command, first_error
from terrane_features.server.registry.catalog import Catalog
from terrane_features.server.registry.watch import RegistryWatcher

# Random keys that are tried where no run has left any, as after Feast's own materialize.
TRIES = 16
# Of a view's keys that a run left; fewer are there when the store was emptied and is being filled again.
LEAST_SHARE = 0.5


class Readiness:
    """Looks at both stores."""

    def __init__(self, watch: RegistryWatcher, store: Any) -> None:
        """Takes what asks the online store; None where it is no Redis, and then it is not looked at."""
        self._watch, self._store = watch, store
        self._found: tuple[bytes, str] | None = None

    async def state(self) -> dict[str, object]:
        """What /ready answers. A registry that went away later only makes `registry_age_seconds` grow."""
        watch = self._watch
        problem = None if watch.catalog or watch.empty else f"registry: {watch.problem}"
        try:
            problem = (await self._store_problem(watch.catalog) if self._store else None) or problem
        except StoreUnavailable as error:
            problem = str(error)
        return {
            "ready": problem is None,
            "problem": problem,
            "feature_views": watch.feature_views(),
            "canary": self._found[1] if self._found else None,
            "registry_age_seconds": round(watch.age_s, 1),
            "registry_problem": watch.problem,
        }

    async def _store_problem(self, catalog: Catalog | None) -> str | None:
        answers = await self._store.ask_everywhere(command(b"PING"))
        if error := first_error(answers):
            return f"Redis refuses us: {error}"
        if catalog is None:
            return None
        materialized = [view.name for view in catalog.views.values() if view.materialized]
        samples = {view: keys for view, keys in self._watch.samples.items() if keys and view in materialized}
        lost = await self._lost(samples)
        if not samples:
            lost = await self._lost_without_samples(materialized)
        if lost:
            return f"Redis lacks rows of {', '.join(lost)}, which were materialised: materialise online/* again"
        return None

    async def _lost(self, samples: Mapping[str, Sequence[bytes]]) -> list[str]:
        """The views of which too few keys are there."""
        lost = []
        for view, keys in sorted(samples.items()):
            found = await self._rows(keys, [view])
            present = [key for key, row in zip(keys, found, strict=True) if any(row)]
            if len(present) < LEAST_SHARE * len(keys):
                lost.append(view)
            else:
                self._found = present[0], view
        if lost:
            self._found = None
        return lost

    async def _lost_without_samples(self, views: list[str]) -> list[str]:
        """All of the views, when a key that held a row is gone and no other is found, or nothing is there at all."""
        if self._found and any((await self._rows([self._found[0]], [self._found[1]]))[0]):
            return []
        had, self._found = self._found, await self._some_row(views)
        if self._found or not views:
            return []
        sizes = await self._store.ask_everywhere(command(b"DBSIZE"))
        return views if had or not any(size for size in sizes if isinstance(size, int)) else []

    async def _some_row(self, views: list[str]) -> tuple[bytes, str] | None:
        """A random key that holds a row of a view, if one of some tries does."""
        if not views:
            return None
        drawn = [key for _ in range(TRIES) for key in await self._store.ask_everywhere(command(b"RANDOMKEY"))]
        keys = sorted({key for key in drawn if isinstance(key, bytes)})
        for key, row in zip(keys, await self._rows(keys, views), strict=True):
            for view, at in zip(views, row, strict=True):
                if at:
                    return key, view
        return None

    async def _rows(self, keys: Sequence[bytes], views: Sequence[str]) -> list[list[Any]]:
        """Each key's event times of the views; nothing of a key that holds no hash."""
        fields = [timestamp_field(view) for view in views]
        rows = await self._store.ask([command(b"HMGET", key, *fields) for key in keys]) if keys else []
        return [row if isinstance(row, list) else [None] * len(views) for row in rows]
