"""What a run reads: one snapshot of the warehouse, the window of events in it, and the newest row of each entity."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from terrane.postgres import PostgresResource
from terrane_features.repository.model import FeatureView

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql


@dataclass(frozen=True)
class Window:
    """What a table holds up to the warehouse's clock.

    Attributes:
        rows: up to `end`.
        future_rows: rows whose event lies behind `end`; they wait for a later run.
        start: the earliest event; None when there are no rows.
    """

    rows: int
    future_rows: int
    start: datetime | None
    newest: datetime | None
    end: datetime


@dataclass(frozen=True)
class Source:
    """A table or query, and what its columns are for.

    Attributes:
        relation: as it stands after `from`: `gold.scores`, or a query in parentheses.
        created: the column that orders rows of one event time; empty for none.
    """

    relation: str
    keys: tuple[str, ...]
    features: tuple[str, ...]
    time: str
    created: str = ""

    @classmethod
    def of(cls, view: FeatureView) -> Source:
        """Where a declared view's rows are read from."""
        features = tuple(feature.name for feature in view.features)
        relation = view.relation or view.table
        found = cls(relation, view.key_names, features, view.timestamp_column, view.created_column)
        return found.renamed(view.field_mapping)

    def renamed(self, mapping: Mapping[str, str]) -> Source:
        """The same rows, their columns under the names that the mapping gives them."""
        if not mapping:
            return self
        old = {new: name for name, new in mapping.items()}
        named: list[str] = [*self.keys, *self.features, self.time, self.created]
        wanted = list(dict.fromkeys(name for name in named if name))
        columns = ", ".join(f"{_quoted(old.get(name, name))} as {_quoted(name)}" for name in wanted)
        return replace(self, relation=f"(select {columns} from {self.relation} as source)")  # noqa: S608 - names quoted

    def named(self) -> sql.SQL:
        from psycopg import sql

        return sql.SQL(self.relation)  # pyright: ignore[reportArgumentType]


def look_in(connection: psycopg.Connection, schema: str) -> None:
    """Finds unqualified names in the schema, as Feast does, until the transaction ends."""
    connection.execute("select set_config('search_path', %s, true)", [search_path(schema)])


def search_path(schema: str) -> str:
    quoted = schema.replace('"', '""')
    return f'"{quoted}", public'


def type_name(connection: psycopg.Connection, oid: int) -> str:
    """Postgres' own name of a type."""
    info = connection.adapters.types.get(oid)
    if info is None:
        return f"type {oid}"
    return f"_{info.name}" if oid == info.array_oid else info.name


def read_window(connection: psycopg.Connection, source: Source) -> Window:
    """Counts the rows, and finds their events' times, up to the warehouse's clock. One scan."""
    from psycopg import sql

    query = sql.SQL(
        "select count(*) filter (where {time} <= now()), count(*) filter (where {time} > now()),"
        " min({time}) filter (where {time} <= now()), max({time}) filter (where {time} <= now()), now()"
        " from {rows} as t"
    ).format(time=sql.Identifier(source.time), rows=source.named())
    row = connection.execute(query).fetchone()
    assert row is not None
    return Window(*row)


@contextmanager
def one_snapshot(
    warehouse: PostgresResource, views: Sequence[FeatureView] = ()
) -> Iterator[tuple[psycopg.Connection, str]]:
    """A transaction that sees the warehouse as it is now, and the name by which others see the same.

    A table that took another's place after the snapshot has no rows in it: a build that swaps its tables meanwhile
    would have made the view empty. So what the views read is held by another connection before the snapshot is taken;
    it waits for a swap that is under way, and a later one waits for it, as for any reader.
    """
    from psycopg import IsolationLevel

    with warehouse.connect() as holding, warehouse.connect() as connection:
        _hold(holding, views)
        connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
        connection.execute("set local idle_in_transaction_session_timeout = 0")
        row = connection.execute("select pg_export_snapshot()").fetchone()
        assert row is not None
        yield connection, row[0]


def _hold(connection: psycopg.Connection, views: Sequence[FeatureView]) -> None:
    """Locks what the views read until the transaction ends, against being replaced; what cannot be read is left."""
    import psycopg
    from psycopg import sql

    connection.execute("set local idle_in_transaction_session_timeout = 0")
    for view in views:
        look_in(connection, view.schema)
        with contextlib.suppress(psycopg.errors.ProgrammingError), connection.transaction():
            connection.execute(sql.SQL("select from {} as held limit 0").format(Source.of(view).named()))


def newest_rows(
    source: Source, columns: Sequence[str], end: datetime, *, start: datetime | None = None, unique: bool
) -> sql.Composed:
    """A query for the newest row of each entity in the window, both of its ends included, as stock reads it.

    Among rows of one event time, the one created last.

    Args:
        start: the earliest event; None for any.
        unique: whether every entity has one row at most, so that nothing has to be sorted.
    """
    from psycopg import sql

    head, order = sql.SQL("select"), sql.SQL("")
    if not unique:
        keys = names(source.keys)
        head = sql.SQL("select distinct on ({})").format(keys)
        order = sql.SQL(" order by {}, {} desc").format(keys, sql.Identifier(source.time))
        if source.created:
            order += sql.SQL(", {} desc nulls last").format(sql.Identifier(source.created))
    return sql.SQL("{} {} from {}{}").format(head, names(columns), rows_until(source, end, start), order)


def rows_until(source: Source, end: datetime, start: datetime | None = None) -> sql.Composed:
    """What follows `from` in a query for the window's rows."""
    from psycopg import sql

    time, last = sql.Identifier(source.time), sql.Literal(end.astimezone(UTC))
    if start is None:
        return sql.SQL("{} as t where {} <= {}").format(source.named(), time, last)
    first = sql.Literal(start.astimezone(UTC))
    return sql.SQL("{} as t where {} between {} and {}").format(source.named(), time, first, last)


def names(columns: Sequence[str]) -> sql.Composed:
    """A list of columns."""
    from psycopg import sql

    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
