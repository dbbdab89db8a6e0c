"""The rows of one view in Redis: counted, compared with the table's keys, and removed, on one server or on a cluster.

A million keys are a sorted array of eight bytes each here, never a set of Python's objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from terrane_features.engine.cluster import ClusterConnections, masters
from terrane_features.engine.commands import KEY_TYPES, Layout
from terrane_features.engine.reading import batches
from terrane_features.online_store import format as online_format

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from redis import Redis
    from redis.cluster import RedisCluster

    from terrane.postgres import PostgresResource
    from terrane_features.online_store.written import Written
    from terrane_features.repository.model import FeatureView

SCAN_COUNT = 5000


class KeyNotSupported(ValueError):
    """A join key has a type whose bytes are not known here."""


@dataclass(frozen=True)
class TableKeys:
    """The join keys of a view's table, as the warehouse's snapshot has them up to `end`."""

    warehouse: PostgresResource
    project: str
    view: FeatureView
    end: datetime
    snapshot: str

    @property
    def layout(self) -> Layout:
        """Raises KeyNotSupported."""
        for name, value_type in self.view.join_keys:
            if value_type not in KEY_TYPES:
                raise KeyNotSupported(
                    f"{self.view.name} is keyed by {name} of type {value_type}; {', '.join(sorted(KEY_TYPES))} are"
                    " supported: declare the entity with one of them in feast_repo"
                )
        return Layout(self.project, self.view.name, self.view.join_keys, (), self.view.timestamp_column)

    def __iter__(self) -> Iterator[pa.Array]:
        """The keys as Redis has them, a batch at a time."""
        from psycopg import sql

        query = sql.SQL("select {keys} from {table} where {time} <= {end}").format(
            keys=sql.SQL(", ").join(sql.Identifier(name) for name in self.view.key_names),
            table=sql.Identifier(*self.view.table.split(".")),
            time=sql.Identifier(self.view.timestamp_column),
            end=sql.Literal(self.end),
        )
        layout = self.layout
        for batch in batches(self.warehouse.uri(), query.as_string(), {}, self.snapshot):
            yield layout.key_column(batch)

    def digests(self) -> np.ndarray:
        """A hash of each different key, sorted: good for the life of this process."""
        import numpy as np

        found = [_digests(keys.to_pylist()) for keys in self]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def stale_keys(
    client: Any, project: str, join_keys: tuple[str, ...], view: str, wanted: np.ndarray
) -> Iterator[StaleKeys]:
    """The keys that have a row of the view and are not wanted, some at a time, by scans that block nobody.

    Args:
        wanted: the hashes of keys that may stay, sorted.
    """
    prefix, suffix = online_format.key_prefix(list(join_keys)), project.encode()
    pattern = _escaped(prefix) + b"*" + _escaped(suffix)
    for node in masters(client):
        cursor: int | None = None
        while cursor != 0:
            cursor, keys = node.scan(cursor or 0, match=pattern, count=SCAN_COUNT)  # pyright: ignore[reportGeneralTypeIssues]
            if some := _with_row(node, view, _missing(keys, wanted)):
                yield StaleKeys(node, some)


@dataclass(frozen=True)
class StaleKeys:
    """Keys to remove, and the server that holds them."""

    node: Redis
    keys: list[bytes]

    def remove(self, view: str, fields: tuple[str, ...]) -> None:
        """Removes the view's row of each key; a key that has rows of other views keeps those."""
        own = online_format.timestamp_field(view)
        names = [own, *(online_format.field_name(view, field) for field in fields)]
        with self.node.pipeline(transaction=False) as pipe:
            for key in self.keys:
                pipe.hkeys(key)  # pyright: ignore[reportArgumentType]
            for key, there in zip(self.keys, pipe.execute(), strict=True):
                if any(field.startswith(b"_ts:") and field != own for field in there):
                    pipe.hdel(key, *names)  # pyright: ignore[reportArgumentType]
                else:
                    pipe.delete(key)
            pipe.execute()


def remove_view(client: Redis | RedisCluster, project: str, written: Written) -> int:
    """Removes every row of a view that is no more; returns how many there were."""
    import numpy as np

    removed = 0
    for some in stale_keys(client, project, written.join_keys, written.view, np.empty(0, np.int64)):
        some.remove(written.view, written.fields)
        removed += len(some.keys)
    return removed


def remove_fields(client: Redis | RedisCluster, keys: TableKeys, fields: tuple[str, ...]) -> None:
    """Removes fields of the view from every key of the table."""
    layout = keys.layout
    names = [online_format.field_name(keys.view.name, field) for field in fields]
    with ClusterConnections(client) as nodes:
        for some in keys:
            nodes.send(layout.on_fields(b"HDEL", some, names), some)
        nodes.finish()


def count_present(client: Redis | RedisCluster, keys: TableKeys) -> int:
    """How many rows of the table have a key that holds a row of the view."""
    layout = keys.layout
    with ClusterConnections(client) as nodes:
        for some in keys:
            nodes.send(layout.has_row(some), some)
        return nodes.finish()


def _digests(keys: list[bytes]) -> np.ndarray:
    import numpy as np

    return np.fromiter(map(hash, keys), np.int64, len(keys))


def _missing(keys: list[bytes], wanted: np.ndarray) -> list[bytes]:
    """The keys whose hash is not among the wanted."""
    import numpy as np

    if not len(wanted):
        return keys
    digests = _digests(keys)
    there = wanted[np.minimum(np.searchsorted(wanted, digests), len(wanted) - 1)] == digests
    return [key for key, wants in zip(keys, there, strict=True) if not wants]


def _with_row(node: Redis, view: str, keys: list[bytes]) -> list[bytes]:
    if not keys:
        return []
    field: Any = online_format.timestamp_field(view)
    with node.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hexists(key, field)  # pyright: ignore[reportArgumentType]
        return [key for key, has in zip(keys, pipe.execute(), strict=True) if has]


def _escaped(text: bytes) -> bytes:
    """Literal bytes inside a glob pattern of Redis."""
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\^-" else bytes([c]) for c in text)
