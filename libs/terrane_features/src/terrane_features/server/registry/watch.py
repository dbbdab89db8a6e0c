"""The server's copy of the registry: looked at every few seconds in a thread of its own, replaced as a whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from terrane.names import WAREHOUSE
from terrane.store_advice import postgres_advice
from terrane_features.server.registry.catalog import Catalog
from terrane_features.server.registry.load import BeingWritten, NotApplied, read_if_changed
from terrane_features.server.registry.repeat import Repeating
from terrane_features.server.settings import Settings

log = logging.getLogger("terrane_features.server.registry.load")


class RegistryWatcher(Repeating):
    """Keeps the newest catalog that could be read.

    Attributes:
        catalog: None until the registry was read for the first time.
        problem: why the last look failed; None when it did not.
        samples: some keys of the rows that were last written, by view.
        empty: nobody has applied anything yet, which is no problem.
        failures: looks that failed since the start.
        on_change: is called in the watching thread with a new catalog, before requests are answered by it.
    """

    def __init__(self, settings: Settings, refresh_s: float) -> None:
        super().__init__(refresh_s, "registry")
        self.catalog: Catalog | None = None
        self.problem: str | None = "starting"
        self.empty = False
        self.failures = 0
        self.on_change: Callable[[Catalog], None] = lambda _: None
        self.samples: Mapping[str, tuple[bytes, ...]] = {}
        self._settings = settings
        self._digest: str | None = None

    def feature_views(self) -> int:
        """How many views the copy holds."""
        return len(self.catalog.views) if self.catalog else 0

    def _run_once(self) -> None:
        settings = self._settings
        try:
            read = read_if_changed(
                settings.registry,
                settings.project,
                # Whoever saw that nobody had applied anything waits for the first apply to end, as for any other.
                "" if self.empty else self._digest,
                serve_while_materializing=settings.serve_while_materializing,
            )
            self.samples = read.samples
            if read.catalog:
                self._replace(read.catalog)
            self._digest = read.digest
        except BeingWritten:
            return
        except NotApplied:
            self._report_empty()
        except Exception as error:
            # Whatever it is, the next look may go better, and the old catalog serves until then.
            advice = postgres_advice(str(error), WAREHOUSE.upper())
            see = f"; see {advice}" if advice else ""
            self._report(f"{type(error).__name__}: {' '.join(str(error).split())}{see}")
            return
        self._succeeded()
        self.problem = None

    def _replace(self, catalog: Catalog) -> None:
        try:
            self.on_change(catalog)
        finally:
            # What `on_change` could not do is tried again at the next look; the rest of the catalog serves meanwhile.
            self.catalog, self.empty = catalog, False
        not_servable_reason = [view.not_servable_reason for view in catalog.views.values() if view.not_servable_reason]
        log.info(
            "the registry is read, %d feature views",
            len(catalog.views),
            extra={"feature_services": len(catalog.services), "not_served": not_servable_reason},
        )

    def _report_empty(self) -> None:
        if not self.empty:
            log.info("nobody has applied definitions yet")
        self.empty, self._digest, self.catalog = True, None, None

    def _report(self, problem: str) -> None:
        """Logs what is new since the last look, so that a quiet log means that nothing changed."""
        self.failures += 1
        if problem != self.problem:
            log.warning("the registry cannot be read, serving what is known: %s", problem)
        self.problem = problem
