"""An asset online/<feature view>: the view's rows in Redis, counted and read back."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from features import canary
from features.components.lineage import (
    OWNERS,
    POOL,
    REGISTRY,
    TAGS,
    online_key,
    source_key,
    when_upstream_or_code_changes,
)
from features.failures import explained
from features.feast_store import FeastResource
from features.feature_server import FeatureServer
from features.materializing import Materialized, materialize
from features.redis_store import RedisResource
from features.repository import FeatureView
from terrane.postgres import PostgresResource

COUNT_CHECK = "every_row_has_its_key"
CANARY_CHECK = "random_entities_read_back_as_gold"
LEFT = "Rows written by then stay, none were removed, and the next run writes all of them again."


class OnlineViewConfig(dg.Config):
    """How far a run may go.

    Attributes:
        allow_mass_deletion: remove rows online even where the table has lost more than half of its entities.
    """

    allow_mass_deletion: bool = False


def online_view(view: FeatureView, fresh_within_hours: int) -> dg.AssetsDefinition:
    """The asset of one view, and its two checks."""
    key = online_key(view)

    @dg.asset(
        key=key,
        deps=[source_key(view), REGISTRY],
        group_name="serving",
        kinds={"feast", "redis"},
        description=f"{view.description}\n\nFrom {view.table}: one hash in Redis for each {', '.join(view.key_names)}.",
        automation_condition=when_upstream_or_code_changes(),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=fresh_within_hours)),
        metadata={"dagster/table_name": view.table, "fields": ", ".join(feature.name for feature in view.features)},
        check_specs=[
            dg.AssetCheckSpec(COUNT_CHECK, asset=key, description="As many keys in Redis as rows were read."),
            dg.AssetCheckSpec(
                CANARY_CHECK, asset=key, description="A few random entities, read as a product reads them."
            ),
        ],
        owners=OWNERS,
        tags=TAGS,
        pool=POOL,
    )
    def online(
        context: dg.AssetExecutionContext,
        config: OnlineViewConfig,
        feast: FeastResource,
        warehouse: PostgresResource,
        redis: RedisResource,
        feature_server: FeatureServer,
    ) -> dg.MaterializeResult:
        with explained(f"materialising {view.name}", LEFT, warehouse, redis):
            done = materialize(feast, warehouse, view.name, allow_mass_deletion=config.allow_mass_deletion)
            readback = _read_back(context, view, done, feast, warehouse, feature_server.url)
            memory = redis.memory_bytes()
        return dg.MaterializeResult(metadata=metadata_of(done, memory), check_results=[count_check(done), readback])

    return online


def count_check(done: Materialized) -> dg.AssetCheckResult:
    """Whether Redis holds one key for every row that was read."""
    window = done.window
    return dg.AssetCheckResult(
        check_name=COUNT_CHECK,
        passed=window.rows == done.entities == done.keys,
        metadata={"rows_read": window.rows, "entities_read": done.entities, "keys_in_redis": done.keys},
    )


def metadata_of(done: Materialized, memory_bytes: int) -> dict[str, dg.MetadataValue]:
    window = done.window
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(window.rows),
        "keys_in_redis": dg.MetadataValue.int(done.keys),
        "keys_removed": dg.MetadataValue.int(done.removed),
        "rows_in_the_future": dg.MetadataValue.int(window.future_rows),
        "seconds": dg.MetadataValue.float(round(done.seconds, 3)),
        "rows_per_second": dg.MetadataValue.float(round(window.rows / done.seconds, 1)),
        "window_end": dg.MetadataValue.timestamp(window.end),
        "redis_memory_bytes": dg.MetadataValue.int(memory_bytes),
    }
    if window.start and window.newest:
        metadata["window_start"] = dg.MetadataValue.timestamp(window.start)
        metadata["newest_event"] = dg.MetadataValue.timestamp(window.newest)
    return metadata


def _read_back(
    context: dg.AssetExecutionContext,
    view: FeatureView,
    done: Materialized,
    feast: FeastResource,
    warehouse: PostgresResource,
    url: str,
) -> dg.AssetCheckResult:
    with warehouse.connect() as connection:
        rows = canary.sample(connection, view, done.window.end)
    differences = canary.compare(view, rows, canary.store_reader(feast.store()))
    through = "not asked: no FEATURE_SERVER_URL"
    if url:
        try:
            differences += canary.compare(view, rows, canary.http_reader(url))
            through = f"asked at {url}"
        except OSError as error:
            through = f"not asked: {url} does not answer ({error})"
            context.log.warning(through)
    return _canary_check(len(rows), differences, through)


def _canary_check(entities: int, differences: Sequence[canary.Difference], through: str) -> dg.AssetCheckResult:
    listed = [f"{d.feature} of {d.entity}: gold has {d.expected!r}, online is {d.got!r}" for d in differences]
    return dg.AssetCheckResult(
        check_name=CANARY_CHECK,
        passed=not differences,
        metadata={
            "entities": entities,
            "differences": dg.MetadataValue.md("\n".join(f"- {line}" for line in listed) or "none"),
            "feature_server": through,
        },
    )
