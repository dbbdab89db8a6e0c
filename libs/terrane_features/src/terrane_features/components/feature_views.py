"""A Feast repository as assets: its registry, every feature view that is served online, and every feature service.

A view or service that is added to the repository is an asset after the next load; no Python is written for it here.
"""

from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from terrane.ownership import ownership
from terrane_features.checks.drift import Limits
from terrane_features.components.feature_service import feature_service
from terrane_features.components.lineage import REGISTRY, Lineage
from terrane_features.components.online_view import online_view
from terrane_features.components.registry import registry
from terrane_features.components.scaffolding import ViewsScaffolder
from terrane_features.components.settings import CheckSettings, DriftLimits
from terrane_features.repository.read import REPOSITORY_VARIABLE, locate, read_repository


@dg.scaffold_with(ViewsScaffolder)
@dataclass
class FeatureViews(dg.Component, dg.Resolvable):
    """The assets `feast/<registry>`, `online/<feature view>` and `feature_services/<name>` of one repository.

    Two locations have a repository each, with a project, a registry and names of views of its own.

    Attributes:
        repository: the folder with feature_store.yaml, where the variable does not name another.
        variable: that may name another folder; empty where none may.
        registry: the second level of the registry's key, which no other repository's has.
        fresh_within_hours: a view's asset is late when it is older, and its newest event when the view has no limit of
            its own (the tag `newest_event_within_hours`).
        drift: from when on a change of a feature's distribution is told.
    """

    repository: str
    variable: str = REPOSITORY_VARIABLE
    registry: str = REGISTRY
    fresh_within_hours: int = 26
    drift: DriftLimits = field(default_factory=DriftLimits)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        repository = read_repository(locate(Path(self.repository), self.variable))
        settings = CheckSettings(self.fresh_within_hours, Limits(self.drift.psi, self.drift.null_rate))
        lineage = Lineage(ownership(Path(context.project_root)), self.registry)
        views = [online_view(view, settings, lineage) for view in repository.views]
        services = [feature_service(service, lineage.owned) for service in repository.services]
        return dg.Definitions(assets=[registry(repository, lineage), *views, *services])
