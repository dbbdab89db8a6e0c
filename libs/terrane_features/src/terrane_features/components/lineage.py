"""Keys and the pool that the assets of a repository have in common."""

import re
from dataclasses import dataclass

import dagster as dg

from terrane.ownership import Ownership
from terrane_features.repository.model import FeatureView

FEAST, REGISTRY = "feast", "registry"


@dataclass(frozen=True)
class Lineage:
    """What the assets of one repository have in common, and no other repository's has.

    Attributes:
        owned: whose they are.
        registry: the second level of the registry's key, below `feast`.
    """

    owned: Ownership
    registry: str = REGISTRY

    @property
    def registry_key(self) -> dg.AssetKey:
        return dg.AssetKey([FEAST, self.registry])

    @property
    def pool(self) -> str:
        """Holds one run of the repository at a time where the instance limits pools; elsewhere a lock does."""
        return FEAST if self.registry == REGISTRY else f"{FEAST}_{self.registry}"


def source_keys(view: FeatureView) -> list[dg.AssetKey]:
    """The assets of the tables a view is made from, in whatever location they are."""
    return [dg.AssetKey([re.sub(r"\W", "_", part) for part in table]) for table in view.upstream]


def online_key(view: FeatureView) -> dg.AssetKey:
    return view_key(view.name)


def view_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["online", name])


def service_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["feature_services", name])
