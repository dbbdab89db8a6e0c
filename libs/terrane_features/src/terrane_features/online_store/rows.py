"""The rows of one view in Redis: counted, compared with the table's keys, and removed, on one server or on a cluster.

What is removed is what a run of this project and view wrote: its keys are remembered by `keys`, and only where nobody
remembers them are they looked for among all keys of Redis. A key is read, not matched by its end: types and lengths
stand before its values, so what follows them is the project's name and nothing else. A million keys are a sorted array
of eight bytes each here, never a set of Python's objects.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from terrane_features.engine.cluster import ClusterConnections, masters
from terrane_features.engine.commands import KEY_TYPES, Layout
from terrane_features.engine.reading import batches
from terrane_features.materialize.snapshot import Source, search_path
from terrane_features.online_store import format as online_format

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import pyarrow as pa
    from redis import Redis
    from redis.cluster import RedisCluster

    from terrane.postgres import PostgresResource
    from terrane_features.online_store.keys import KeyRecord
    from terrane_features.online_store.written import Written
    from terrane_features.repository.model import FeatureView

SCAN_COUNT = 5000
# Keys of a view by which a server sees whether the store still has its rows.
SAMPLES = 8


class KeyNotSupported(ValueError):
    """A join key has a type whose bytes are not known here."""


@dataclass(frozen=True)
class TableKeys:
    """The join keys of a view's table, as the warehouse's snapshot has them.

    Attributes:
        end: the latest event of the rows that are served.
    """

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

    def served(self) -> Iterator[pa.Array]:
        """The keys of rows up to `end` as Redis has them, a batch at a time."""
        for keys, _ in self._batches(past=True):
            yield keys

    def all(self) -> Iterator[tuple[pa.Array, int]]:
        """All keys, and how many of a batch are of rows up to `end`: an entity whose newest event lies ahead stays."""
        yield from self._batches(past=False)

    def _batches(self, *, past: bool) -> Iterator[tuple[pa.Array, int]]:
        from psycopg import sql

        time, end = sql.Identifier(self.view.timestamp_column), sql.Literal(self.end)
        query = sql.SQL("select {keys}, coalesce({time} <= {end}, false) as past from {table} as t").format(
            keys=sql.SQL(", ").join(sql.Identifier(name) for name in self.view.key_names),
            time=time,
            end=end,
            table=Source.of(self.view).named(),
        )
        if past:
            query += sql.SQL(" where {} <= {}").format(time, end)
        layout = self.layout
        for batch in batches(
            self.warehouse.uri(), query.as_string(), {"search_path": search_path(self.view.schema)}, self.snapshot
        ):
            yield layout.key_column(batch), int(batch.column("past").to_numpy(zero_copy_only=False).sum())


def digests(keys: pa.Array) -> np.ndarray:
    """A hash of each key: good for the life of this process."""
    import numpy as np

    return np.fromiter(map(hash, keys.to_pylist()), np.int64, len(keys))


def not_among(keys: pa.Array, wanted: np.ndarray) -> pa.Array:
    """The keys whose hash is not one of the wanted, which are sorted."""
    import numpy as np
    import pyarrow as pa

    if not len(wanted):
        return keys
    found = digests(keys)
    there = wanted[np.minimum(np.searchsorted(wanted, found), len(wanted) - 1)] == found
    return keys.filter(pa.array(~there))


def with_row(client: Redis | RedisCluster, view: str, keys: pa.Array) -> pa.Array:
    """The keys that hold a row of the view."""
    import pyarrow as pa

    if not len(keys):
        return keys
    with ClusterConnections(client) as nodes:
        answers = nodes.ask(_layout_of(view).has_row(keys), keys)
    return keys.filter(pa.array([answer == 1 for answer in answers]))


def remove_rows(client: Redis | RedisCluster, view: str, fields: Sequence[str], keys: pa.Array) -> int:
    """Removes the view's row of each key, and nothing else; returns of how many keys.

    A key that has rows of other views keeps those; one that has nothing left is gone by itself.
    """
    names = [online_format.timestamp_field(view)]
    names += [online_format.field_name(view, field) for field in dict.fromkeys(fields)]
    if len(keys):
        with ClusterConnections(client) as nodes:
            nodes.send(_layout_of(view).on_fields(b"HDEL", keys, names), keys)
            nodes.finish()
    return len(keys)


def scan(client: Any, project: str, join_keys: Sequence[str]) -> Iterator[pa.Array]:
    """All keys of the project's entities with these join keys, some at a time, by scans that block nobody.

    Costs a look at every key of the database: for what nobody remembers alone.
    """
    import pyarrow as pa

    prefix = online_format.key_prefix(list(join_keys))
    pattern = _escaped(prefix) + b"*" + _escaped(project.encode())
    for node in masters(client):
        cursor: int | None = None
        while cursor != 0:
            cursor, keys = node.scan(cursor or 0, match=pattern, count=SCAN_COUNT)  # pyright: ignore[reportGeneralTypeIssues]
            own = [key for key in keys if is_of(key, prefix, len(join_keys), project)]
            if own:
                yield pa.array(own, pa.binary())


def is_of(key: bytes, prefix: bytes, values: int, project: str) -> bool:
    """Whether a key is of an entity of the project: after the prefix, so many values and the project's name alone."""
    at = len(prefix)
    if not key.startswith(prefix):
        return False
    for _ in range(values):
        if at + 8 > len(key):
            return False
        kind, length = struct.unpack_from("<II", key, at)
        if kind not in online_format.KEY_VALUE_TYPES:
            return False
        at += 8 + length
    return key[at:] == project.encode() and at <= len(key)


def remove_view(client: Redis | RedisCluster, project: str, written: Written, record: KeyRecord) -> int:
    """Removes every row of a view that is no more; returns how many there were."""
    removed = 0
    for keys in record.earlier("") if record.is_complete() else scan(client, project, written.join_keys):
        removed += remove_rows(client, written.view, written.fields, with_row(client, written.view, keys))
    return removed


def remove_fields(client: Redis | RedisCluster, keys: TableKeys, fields: tuple[str, ...]) -> None:
    """Removes fields of the view from every key of the table."""
    layout = keys.layout
    names = [online_format.field_name(keys.view.name, field) for field in fields]
    with ClusterConnections(client) as nodes:
        for some in keys.served():
            nodes.send(layout.on_fields(b"HDEL", some, names), some)
        nodes.finish()


def count_present(client: Redis | RedisCluster, keys: TableKeys) -> tuple[int, list[bytes]]:
    """How many rows of the table have a key that holds a row of the view, and at most SAMPLES of the keys."""
    layout = keys.layout
    drawn: list[bytes] = []
    with ClusterConnections(client) as nodes:
        for some in keys.served():
            nodes.send(layout.has_row(some), some)
            drawn += [some[place].as_py() for place in range(0, len(some), max(1, len(some) // SAMPLES))]
        present = nodes.finish()
    return present, drawn[:: max(1, len(drawn) // SAMPLES)][:SAMPLES]


def _layout_of(view: str) -> Layout:
    """What is needed to ask for a view's event times."""
    return Layout("", view, (), (), "")


def _escaped(text: bytes) -> bytes:
    """Literal bytes inside a glob pattern of Redis."""
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\^-" else bytes([c]) for c in text)
