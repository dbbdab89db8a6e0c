"""The repositories that are measured: feature_store.yaml over the benchmark's stores, and views by the hundred."""

from __future__ import annotations

from pathlib import Path

OURS = "terrane_features.engine.compute.RedisComputeEngine"
REDIS = "type: redis\n  connection_string: '${REDIS_HOST}:${REDIS_PORT},password=\"${REDIS_PASSWORD}\"'"
SETTINGS = """\
project: benchmark
provider: local
entity_key_serialization_version: 3
registry:
  registry_type: sql
  path: postgresql+psycopg://${WAREHOUSE_USER}:${WAREHOUSE_PASSWORD}@${WAREHOUSE_HOST}:${WAREHOUSE_PORT}/${WAREHOUSE_DB}?options=-csearch_path%3Dfeast
  cache_ttl_seconds: 600
offline_store:
  type: postgres
  host: ${WAREHOUSE_HOST}
  port: ${WAREHOUSE_PORT}
  user: ${WAREHOUSE_USER}
  password: ${WAREHOUSE_PASSWORD}
  database: ${WAREHOUSE_DB}
  sslmode: null
online_store:
  ONLINE
materialization:
  online_write_batch_size: 10000
"""
IMPORTS = """\
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Bool, Float64, Int32, Int64, String

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
"""


def write_repository(folder: Path, definitions: str, *, online: str = REDIS, engine: str = OURS) -> None:
    """Writes a repository whose views are the definitions; `user` is an entity that they may name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "feature_store.yaml").write_text(
        SETTINGS.replace("ONLINE", online) + f"batch_engine:\n  type: {engine}\n"
    )
    (folder / "definitions.py").write_text(IMPORTS + definitions)


def view(name: str, table: str, features: dict[str, str], **more: str) -> str:
    """One view of `user`, as a line of Python.

    Args:
        features: Feast's types by name.
        more: `ttl_days`, and `created`, the column of that meaning.
    """
    fields = ", ".join(f"Field(name={name!r}, dtype={dtype})" for name, dtype in features.items())
    created = f", created_timestamp_column={more['created']!r}" if "created" in more else ""
    return (
        f"{name} = FeatureView(name={name!r}, entities=[user], ttl=timedelta(days={more.get('ttl_days', '3650')}),"
        f" schema=[{fields}], source=PostgreSQLSource(name='{name}_source', table={table!r},"
        f" timestamp_field='event_timestamp'{created}))\n"
    )
