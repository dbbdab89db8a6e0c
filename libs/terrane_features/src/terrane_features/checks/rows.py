"""The rows of a view's table that are served: the newest of each entity, with an event up to the warehouse's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from terrane_features.engine.reading import is_unique
from terrane_features.materialize.snapshot import Source, names, rows_until
from terrane_features.repository.model import FeatureView

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

# For grouping and sorting a million rows; Postgres' own 4 MB would go to the disk.
WORK_MEM = "64MB"
SHOWN = 5


@dataclass(frozen=True)
class Faults:
    """Rows that no value can be served from, or no certain one.

    Attributes:
        without: key or time column -> rows in which it is null.
        ambiguous: how many groups of rows have the same entity and times, which leaves to chance which one is served.
        examples: entities of such groups, at most SHOWN.
        repeated: whether any entity has more than one row, which is fine as long as their times differ.
    """

    without: dict[str, int]
    ambiguous: int
    examples: tuple[str, ...]
    repeated: bool


def find_faults(connection: psycopg.Connection, view: FeatureView, end: datetime) -> Faults:
    """Counts them. Keys are not grouped where a unique index of the table answers for them."""
    connection.execute(f"set local work_mem = '{WORK_MEM}'".encode())
    source = Source.of(view)
    without = _nulls(connection, source)
    repeated = not is_unique(connection, source) and _one(connection, _repeated_sql(source, end))[0] > 0
    ambiguous = _ambiguous(connection, source, end) if repeated else []
    examples = tuple(", ".join(map(str, row[:-1])) for row in ambiguous)
    return Faults(without, ambiguous[0][-1] if ambiguous else 0, examples, repeated)


def _nulls(connection: psycopg.Connection, source: Source) -> dict[str, int]:
    from psycopg import sql

    columns = (*source.keys, source.time)
    counts = sql.SQL(", ").join(sql.SQL("count(*) - count({})").format(sql.Identifier(name)) for name in columns)
    query = sql.SQL("select {} from {} as t").format(counts, source.named())
    found = zip(columns, _one(connection, query), strict=True)
    return {name: count for name, count in found if count}


def _repeated_sql(source: Source, end: datetime) -> sql.Composed:
    from psycopg import sql

    query = "select count(*) from (select 1 from {} group by {} having count(*) > 1) as repeated"
    return sql.SQL(query).format(rows_until(source, end), names(source.keys))


def _ambiguous(connection: psycopg.Connection, source: Source, end: datetime) -> list[Any]:
    """Join keys of some, and how many there are."""
    from psycopg import sql

    times = [source.time, *([source.created] if source.created else [])]
    query = sql.SQL(
        "select {keys}, count(*) over () from {rows} group by {keys}, {times} having count(*) > 1 limit {n}"
    )
    keys = names(source.keys)
    return connection.execute(
        query.format(keys=keys, rows=rows_until(source, end), times=names(times), n=sql.Literal(SHOWN))
    ).fetchall()


def _one(connection: psycopg.Connection, query: sql.Composed) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row
