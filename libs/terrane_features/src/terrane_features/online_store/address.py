"""Where the online store is: Feast's connection string, parsed once for everybody, and redis-py's clients for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane_features.repository.settings import read_settings, section

if TYPE_CHECKING:
    from redis import Redis
    from redis.cluster import RedisCluster

KINDS = ("redis", "redis_cluster", "redis_sentinel")
CONNECT_TIMEOUT_S = 5
TIMEOUT_S = 30
RETRIES = 2


@dataclass(frozen=True)
class StoreAddress:
    """A Redis, a cluster or the sentinels of a Redis, and how to get in.

    Attributes:
        kind: one of KINDS, as Feast's `redis_type` has it.
        nodes: host and port of the Redis, of some nodes of the cluster, or of the sentinels.
        options: what else the connection string says, by redis-py's names (`db`, `username`, `ssl_ca_certs` ...).
        master: the name under which sentinels know the Redis.
    """

    kind: str
    nodes: tuple[tuple[str, int], ...]
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    master: str = ""

    @property
    def database(self) -> int:
        return int(self.options.get("db") or 0)

    @property
    def username(self) -> str:
        return str(self.options.get("username") or "")

    @property
    def password(self) -> str:
        return str(self.options.get("password") or "")

    @property
    def tls(self) -> Mapping[str, Any] | None:
        """redis-py's options of TLS without their `ssl_`; None without TLS."""
        if not self.options.get("ssl"):
            return None
        return {name.removeprefix("ssl_"): value for name, value in self.options.items() if name.startswith("ssl_")}

    def __str__(self) -> str:
        nodes = ", ".join(f"{host}:{port}" for host, port in self.nodes)
        if self.kind == "redis_cluster":
            return f"the Redis cluster at {nodes}"
        if self.kind == "redis_sentinel":
            return f"Redis {self.master} of the sentinels at {nodes}, database {self.database}"
        return f"Redis at {nodes}, database {self.database}"

    def with_options(self, **options: Any) -> StoreAddress:
        """The same store with other options of redis-py."""
        return replace(self, options={**self.options, **options})

    def client(self) -> Redis | RedisCluster:
        """A client that answers bytes.

        Its calls raise redis.RedisError, after RETRIES more tries to connect; a cluster's is raised here.
        """
        from redis import Redis
        from redis.backoff import ExponentialBackoff
        from redis.cluster import ClusterNode, RedisCluster
        from redis.retry import Retry
        from redis.sentinel import Sentinel

        options: dict[str, Any] = {
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "socket_timeout": TIMEOUT_S,
            "retry": Retry(ExponentialBackoff(cap=2), RETRIES),
            **self.options,
        }
        if self.kind == "redis_cluster":
            return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in self.nodes], **options)
        if self.kind == "redis_sentinel":
            return Sentinel(self.nodes, **options).master_for(self.master)
        host, port = self.nodes[0]
        return Redis(host=host, port=port, **options)


def read_address(folder: Path, variables: Mapping[str, str] | None = None) -> StoreAddress:
    """The online store that a repository's feature_store.yaml names. Raises RepositoryError."""
    return address_of(section(read_settings(folder, variables, part="online_store"), "online_store"))


def address_of(online: Mapping[str, Any]) -> StoreAddress:
    """The address in an `online_store` section."""
    nodes, options = parse(str(online.get("connection_string") or "localhost:6379"))
    kind = online.get("redis_type") or "redis"
    # Feast's own configuration has an enumeration where the file has its text.
    kind = str(getattr(kind, "value", kind))
    return StoreAddress(kind, nodes, options, str(online.get("sentinel_master") or "mymaster"))


def parse(text: str) -> tuple[tuple[tuple[str, int], ...], dict[str, Any]]:
    """Nodes and options of `host:port,host:port,db=0,password="..."`, whose values are JSON where they can be.

    What says how to check a certificate is left out without TLS: connections by sentinels do not take it.
    """
    parts = text.split(",")
    nodes = [part.partition(":") for part in parts if "=" not in part]
    options = {name: _plain(value) for name, value in (part.split("=", 1) for part in parts if "=" in part)}
    if not options.get("ssl"):
        options = {name: value for name, value in options.items() if not name.startswith("ssl")}
    return tuple((host, int(port or 6379)) for host, _, port in nodes), options


def memory_bytes(client: Redis | RedisCluster) -> int:
    """What the store's servers use, of all their databases together."""
    from terrane_features.engine.cluster import masters

    used: list[Any] = [node.info("memory") for node in masters(client)]
    return sum(int(info["used_memory"]) for info in used)


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
