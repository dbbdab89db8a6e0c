"""What the engine does itself, and why it leaves the rest to Feast's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from terrane_features.engine.commands import KEY_TYPES
from terrane_features.engine.scalars import SUPPORTED

if TYPE_CHECKING:
    from feast import FeatureView, RepoConfig

_TEXT = {"text", "varchar", "bpchar"}
_TIME = {"timestamptz", "timestamp"}
# Feast's value type -> Postgres' types from which stock makes the same bytes.
POSTGRES_TYPES = {
    "BOOL": {"bool"},
    "BYTES": {"bytea"},
    "DECIMAL": _TEXT,
    "DOUBLE": {"float4", "float8"},
    "FLOAT": {"float4"},
    "IMAGE_BYTES": {"bytea"},
    "INT32": {"int2", "int4"},
    "INT64": {"int2", "int4", "int8"},
    "PDF_BYTES": {"bytea"},
    "STRING": _TEXT,
    "TIME_UUID": _TEXT,
    "UNIX_TIMESTAMP": _TIME,
    "UUID": _TEXT,
}
STORES = {"redis", "redis_cluster", "redis_sentinel"}


def unsupported_view(view: FeatureView, config: RepoConfig) -> str | None:
    """Why the view, or the stores, need Feast's own engine; None when they do not."""
    from feast import FeatureView
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
    from feast.infra.online_stores.redis import RedisOnlineStoreConfig

    source = view.batch_source
    reasons = {
        "the offline store is not Postgres": getattr(config.offline_store, "type", "") != "postgres",
        "the online store is not Redis": not isinstance(config.online_store, RedisOnlineStoreConfig),
        f"it is a {type(view).__name__}": type(view) is not FeatureView,
        "its source is not of Postgres": not isinstance(source, PostgreSQLSource),
        "it has no entity": not view.entity_columns or view.join_keys == ["__dummy_id"],
        "it is not online": not view.online,
        "it writes to the offline store too": bool(getattr(view, "offline", False)),
        "it asks for validation": bool(getattr(view, "enable_validation", False)),
        "it transforms rows": bool(getattr(view, "feature_transformation", None)),
        "it aggregates rows": bool(getattr(view, "aggregations", None)),
        "it filters rows": bool(getattr(view, "filter", None)),
        "it is made from other views": bool(getattr(view, "source_views", None)),
        "a field has a vector index": any(getattr(f, "vector_index", False) for f in view.features),
        "keys are not serialised in version 3": config.entity_key_serialization_version != 3,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def unsupported_column(
    keys: Mapping[str, str], features: Mapping[str, str], time: str, columns: Mapping[str, str]
) -> str | None:
    """Why a column needs Feast's own engine; None when none does.

    Args:
        keys, features: Feast's value type by column.
        columns: Postgres' type by column.
    """
    for name, value_type in keys.items():
        if value_type not in KEY_TYPES or columns[name] not in POSTGRES_TYPES[value_type]:
            return f"its key {name} is {value_type} from {columns[name]}"
    for name, value_type in features.items():
        if value_type not in SUPPORTED or columns[name] not in _accepted(value_type):
            return f"its field {name} is {value_type} from {columns[name]}"
    return None if columns[time] in _TIME else f"its time {time} is a {columns[time]}"


def _accepted(value_type: str) -> set[str]:
    if value_type.endswith("_LIST"):
        return {f"_{name}" for name in POSTGRES_TYPES[value_type.removesuffix("_LIST")]}
    return POSTGRES_TYPES[value_type]
