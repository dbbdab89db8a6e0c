"""Feast stores of a test's own, one with stock's engine and one with ours, and every hash they leave in Redis."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from redis import Redis

from terrane.postgres import PostgresResource
from terrane_features.engine.compute import reported
from terrane_features.online_store import format as online_format

OURS = "terrane_features.engine.compute.RedisComputeEngine"
START = datetime(1900, 1, 1, tzinfo=UTC)
Hashes = dict[bytes, dict[bytes, bytes]]
Two = tuple[Redis, Redis]


@dataclass
class Golden:
    """Makes stores over one warehouse.

    Attributes:
        connection: Feast's connection string to Redis, without the database.
        options: more of the online store's configuration.
    """

    folder: Path
    warehouse: PostgresResource
    connection: str
    options: dict[str, Any] = field(default_factory=dict)

    def sql(self, *statements: str) -> None:
        with self.warehouse.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def store(self, engine: str, database: int | None = None, **options: Any) -> FeatureStore:
        connection = self.connection if database is None else f"{self.connection},db={database}"
        return FeatureStore(
            config=RepoConfig(
                project="golden",
                provider="local",
                registry=str(self.folder / f"{engine.rsplit('.')[-1]}{database}.db"),
                entity_key_serialization_version=3,
                offline_store={
                    "type": "postgres",
                    "host": self.warehouse.host,
                    "port": int(self.warehouse.port),
                    "user": self.warehouse.user,
                    "password": self.warehouse.password,
                    "database": self.warehouse.database,
                    "db_schema": "public",
                    "sslmode": None,
                },
                online_store={"type": "redis", "connection_string": connection, **self.options, **options},
                batch_engine={"type": engine},
            )
        )

    def both(
        self, view: FeatureView, redis: Two, times: int = 1, end: datetime | None = None, **options: Any
    ) -> tuple[Hashes, Hashes]:
        """What stock, in redis[0], and ours, in redis[1], make of the view. Fails when ours left it to stock's."""
        for engine, client in zip(("local", OURS), redis, strict=True):
            database = client.connection_pool.connection_kwargs["db"]
            with reported() as reports:
                materialize(self.store(engine, database, **options), view, times, end)
            assert len(reports) == (times if engine == OURS else 0)
        return hashes(redis[0]), hashes(redis[1])


def materialize(store: FeatureStore, view: FeatureView, times: int = 1, end: datetime | None = None) -> None:
    store.apply([*view.original_entities, view])  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(times):
        store.materialize(START, end or datetime.now(UTC), feature_views=[view.name])


def view_of(
    table: str | PostgreSQLSource,
    keys: dict[str, ValueType],
    features: dict[str, Any],
    name: str = "golden",
    created: str = "",
    **options: Any,
) -> FeatureView:
    """A view of a table whose event time is `at`, or of a source."""
    entities = [Entity(name=f"{key}_entity", join_keys=[key], value_type=kind) for key, kind in keys.items()]
    schema = [Field(name=feature, dtype=dtype) for feature, dtype in features.items()]
    if isinstance(table, str):
        table = PostgreSQLSource(
            name=f"{name}_source", table=table, timestamp_field="at", created_timestamp_column=created
        )
    made = FeatureView(
        name=name,
        entities=entities,
        ttl=timedelta(days=9999),
        schema=schema,
        source=table,
        **options,
    )
    made.original_entities = entities  # pyright: ignore[reportAttributeAccessIssue]
    return made


def hashes(client: Any) -> Hashes:
    return {key: client.hgetall(key) for key in client.scan_iter(count=1000)}


def named(found: Hashes, view: FeatureView) -> dict[bytes, dict[str, bytes]]:
    """The same with the features' names, so that a difference says which feature it is in."""
    names = {online_format.field_name(view.name, feature.name): feature.name for feature in view.features}
    names[online_format.timestamp_field(view.name)] = "at"
    return {key: {names.get(field, repr(field)): value for field, value in row.items()} for key, row in found.items()}
