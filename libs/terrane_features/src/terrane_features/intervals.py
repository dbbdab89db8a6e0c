"""Feast's memory of what it materialised: it adds an interval a run to the view's own record, and never drops one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from feast import FeatureStore

KEPT = 10


def keep_newest(store: FeatureStore, name: str) -> None:
    """Drops all but the newest KEPT intervals of a view from the registry."""
    from feast.infra.registry.sql import feature_views
    from feast.protos.feast.core.FeatureView_pb2 import FeatureView
    from sqlalchemy import select, update

    of_view = (feature_views.c.feature_view_name == name, feature_views.c.project_id == store.project)
    with store.registry.write_engine.begin() as connection:  # pyright: ignore[reportAttributeAccessIssue]
        stored = connection.execute(select(feature_views.c.feature_view_proto).where(*of_view)).scalar_one()
        record = FeatureView.FromString(stored)
        if len(record.meta.materialization_intervals) <= KEPT:
            return
        del record.meta.materialization_intervals[:-KEPT]
        connection.execute(update(feature_views).where(*of_view).values(feature_view_proto=record.SerializeToString()))
