"""Keys, tags and conditions that the assets of a repository have in common."""

import re

import dagster as dg

from terrane_features.repository.model import FeatureView

REGISTRY = dg.AssetKey(["feast", "registry"])
# One run at a time where the instance limits pools; the lock in the warehouse holds everywhere.
POOL = "feast"
OWNERS = ["team:features"]
TAGS = {"domain": "features"}


def source_keys(view: FeatureView) -> list[dg.AssetKey]:
    """The assets of the tables a view is made from, in whatever location they are."""
    return [dg.AssetKey([re.sub(r"\W", "_", part) for part in table]) for table in view.upstream]


def online_key(view: FeatureView) -> dg.AssetKey:
    return view_key(view.name)


def view_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["online", name])


def service_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["feature_services", name])


def when_upstream_or_code_changes() -> dg.AutomationCondition:
    """As soon as something upstream is new, or the definitions are, once all of it exists and none is being made."""
    changed: dg.AutomationCondition = (
        dg.AutomationCondition.newly_missing()
        | dg.AutomationCondition.any_deps_updated()
        | dg.AutomationCondition.code_version_changed()
    )
    return (
        changed.since_last_handled()  # pyright: ignore[reportAttributeAccessIssue]
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label("upstream_or_code_changed")
