"""What a run reads: one snapshot of the warehouse, the window of events in it, and the newest row of each entity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
        return cls(view.table, view.key_names, features, view.timestamp_column, view.created_column)

    def named(self) -> sql.SQL:
        from psycopg import sql

        return sql.SQL(self.relation)  # pyright: ignore[reportArgumentType]


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
def one_snapshot(warehouse: PostgresResource) -> Iterator[tuple[psycopg.Connection, str]]:
    """A transaction that sees the warehouse as it is now, and the name by which others see the same."""
    from psycopg import IsolationLevel

    with warehouse.connect() as connection:
        connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
        connection.execute("set local idle_in_transaction_session_timeout = 0")
        row = connection.execute("select pg_export_snapshot()").fetchone()
        assert row is not None
        yield connection, row[0]


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
