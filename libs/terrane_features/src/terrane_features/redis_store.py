"""Redis as a resource: a client, and a direct look at what the online store holds for somebody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import dagster as dg

from terrane_features import online_format
from terrane_features.online_format import Value
from terrane_features.repository import FeatureView

if TYPE_CHECKING:
    from redis import Redis

CONNECT_TIMEOUT_S = 5
TIMEOUT_S = 30
RETRIES = 2


class UnsetVariables(RuntimeError):
    """Variables that say where Redis is are not set; the message names them."""


class RedisResource(dg.ConfigurableResource):
    """Connects to the online store.

    Attributes:
        host, port, db, password: of the connection; no password means none is sent.
    """

    host: str
    port: str
    db: str
    password: str

    @classmethod
    def from_env(cls) -> RedisResource:
        """The resource that reads `REDIS_{HOST,PORT,DB,PASSWORD}` when a run starts."""
        return cls(
            host=dg.EnvVar("REDIS_HOST"),
            port=dg.EnvVar("REDIS_PORT"),
            db=dg.EnvVar("REDIS_DB"),
            password=dg.EnvVar("REDIS_PASSWORD"),
        )

    @classmethod
    def from_process(cls) -> RedisResource:
        """The resource of this process' environment, outside a run. Raises UnsetVariables."""
        if missing := [name for name in ("REDIS_HOST", "REDIS_PORT") if not os.environ.get(name)]:
            raise UnsetVariables(f"set {', '.join(missing)} in the environment: they say where the online store is")
        return cls(
            host=os.environ["REDIS_HOST"],
            port=os.environ["REDIS_PORT"],
            db=os.environ.get("REDIS_DB") or "0",
            password=os.environ.get("REDIS_PASSWORD", ""),
        )

    def client(self, *, timeout_s: float = TIMEOUT_S, retries: int = RETRIES) -> Redis:
        """A client that answers bytes. Its calls raise redis.RedisError, after `retries` more tries to connect."""
        from redis import Redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry

        return Redis(
            host=self.host,
            port=int(self.port),
            db=int(self.db),
            password=self.password or None,
            socket_connect_timeout=min(timeout_s, CONNECT_TIMEOUT_S),
            socket_timeout=timeout_s,
            retry=Retry(ExponentialBackoff(cap=2), retries),
        )

    def look(self, project: str, view: FeatureView, *entity: int | str) -> dict[str, Value | object] | None:
        """What Redis holds of a view for one entity: its features and `event_timestamp`; None when it holds nothing.

        Args:
            entity: the values of the view's join keys, in their order: `look("terrane", view, 42)`.
        """
        return self.look_at(view, key_of(project, view, *entity))

    def look_at(self, view: FeatureView, key: bytes) -> dict[str, Value | object] | None:
        """The same for a Redis key, as `keys_of_view` gives them."""
        with self.client() as client:
            stored: dict[bytes, bytes] = client.hgetall(key)  # pyright: ignore[reportAssignmentType, reportArgumentType]
        return decode_row(view, stored)

    def memory_bytes(self) -> int:
        """What the server uses, of all its databases together."""
        with self.client() as client:
            return int(client.info("memory")["used_memory"])  # pyright: ignore[reportIndexIssue]


def key_of(project: str, view: FeatureView, *entity: int | str) -> bytes:
    """The Redis key of an entity, from the values of the view's join keys in their order. Raises ValueError."""
    if len(entity) != len(view.join_keys):
        raise ValueError(f"{view.name} is asked by {', '.join(view.key_names)}, and {len(entity)} values were given")
    typed = {name: (kind, value) for (name, kind), value in zip(view.join_keys, entity, strict=False)}
    return online_format.entity_key(project, typed)


def decode_row(view: FeatureView, stored: dict[bytes, bytes]) -> dict[str, Value | object] | None:
    """A hash as features by name; None when it has nothing of the view."""
    time = stored.get(online_format.timestamp_field(view.name))
    if time is None:
        return None
    row: dict[str, Value | object] = {
        feature.name: online_format.decode_value(stored.get(online_format.field_name(view.name, feature.name), b""))
        for feature in view.features
    }
    return {**row, "event_timestamp": online_format.decode_timestamp(time)}
