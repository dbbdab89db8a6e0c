"""A Feast repository as assets: its registry, every feature view that is served online, and every feature service.

A view or service that is added to the repository is an asset after the next load; no Python is written for it here.
"""

from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from terrane_features.checks.drift import Limits
from terrane_features.components.feature_service import feature_service
from terrane_features.components.online_view import online_view
from terrane_features.components.registry import registry
from terrane_features.components.settings import CheckSettings, DriftLimits
from terrane_features.repository.read import locate, read_repository


@dataclass
class FeatureViews(dg.Component, dg.Resolvable):
    """The assets `feast/registry`, `online/<feature view>` and `feature_services/<name>` of one repository.

    Attributes:
        repository: the folder with feature_store.yaml, where FEAST_REPO_PATH does not name another.
        fresh_within_hours: a view's asset is late when it is older, and its newest event when the view has no limit of
            its own (the tag `newest_event_within_hours`).
        drift: from when on a change of a feature's distribution is told.
    """

    repository: str
    fresh_within_hours: int = 26
    drift: DriftLimits = field(default_factory=DriftLimits)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        repository = read_repository(locate(Path(self.repository)))
        settings = CheckSettings(self.fresh_within_hours, Limits(self.drift.psi, self.drift.null_rate))
        views = [online_view(view, settings) for view in repository.views]
        services = [feature_service(service) for service in repository.services]
        return dg.Definitions(assets=[registry(repository), *views, *services])
