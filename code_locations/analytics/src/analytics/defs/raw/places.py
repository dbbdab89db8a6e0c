"""Places, which the location spatial publishes, into the warehouse."""

import dagster as dg

from analytics.components.columns import column_schema
from analytics.lake.places import PLACES, load_places, newest_commit
from analytics.ownership import OWNED
from terrane.errors import as_failures, lake_errors
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.policies import asset_defaults, when_any_is_new
from terrane.postgres import PostgresResource


@dg.asset(
    key=["raw", "places"],
    deps=[dg.AssetKey(["data_lake", "places"])],
    automation_condition=when_any_is_new(),
    kinds={"python", "postgres"},
    description="Populated places with their countries: the newest batch in the lake, whole.",
    metadata={
        "freshness": "none: places change when somebody publishes a batch, which may be once a year",
        "dagster/table_name": PLACES.qualified,
        "dagster/column_schema": column_schema(PLACES.columns),
    },
    **asset_defaults(OWNED, "ingestion", None, {"source": "lake"}),
)
def places(object_store: ObjectStoreResource, warehouse: PostgresResource) -> dg.MaterializeResult:
    with as_failures(), lake_errors(object_store, "reading the places"):
        lake = object_store.bucket(DATA_LAKE)
        commit = newest_commit(lake)
        rows = load_places(lake, commit, warehouse)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": rows, "batch_id": commit.batch_id, "published_at": commit.published_at}
    )
