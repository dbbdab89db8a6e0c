"""A Feast repository as assets: its registry, and every feature view that is served online.

A view that is added to the repository is an asset after the next load; no Python is written for it here.
"""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from features.components.online_view import online_view
from features.components.registry import registry
from features.repository import locate, read_repository


@dataclass
class FeatureViews(dg.Component, dg.Resolvable):
    """The assets `feast/registry` and `online/<feature view>` of one repository.

    Attributes:
        repository: the folder with feature_store.yaml, where FEAST_REPO_PATH does not name another.
        fresh_within_hours: a view's asset is late when it is older.
    """

    repository: str
    fresh_within_hours: int = 26

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        repository = read_repository(locate(Path(self.repository)))
        views = [online_view(view, self.fresh_within_hours) for view in repository.views]
        return dg.Definitions(assets=[registry(repository), *views])
