"""An asset feature_services/<name>: what a product asks for by one name, downstream of the views it is read from.

Nothing runs for it, so it is a specification alone: it shows whom a change of gold reaches.
"""

import dagster as dg

from terrane.ownership import Ownership
from terrane_features.components.lineage import service_key, view_key
from terrane_features.repository.model import FeatureService


def feature_service(service: FeatureService, owned: Ownership) -> dg.AssetSpec:
    """The asset of one service."""
    return dg.AssetSpec(
        service_key(service.name),
        deps=[view_key(name) for name in service.views],
        group_name="serving",
        kinds={"feast"},
        description=f"{service.description}\n\nAsked for as `feature_service: {service.name}`.".strip(),
        metadata={"feature_views": ", ".join(service.views), "freshness": "none: it is as fresh as its views"},
        owners=owned.owners,
        tags=owned.tags,
    )
