"""Bins for a feature's values, from a sample of the rows that are served."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

# Shares of so many rows are good to half a percentage point, however many rows there are.
SAMPLE_ROWS = 50_000
# Between these lie the bins of equal width; what is beyond has a bin on each side.
LOW, HIGH = 0.01, 0.99
BINS = 24
LEVELS = 12
# A text that fewer of the sampled rows have is no category; it may be somebody's name, and is shown nowhere.
LEAST_SHARE, LEAST_ROWS = 0.005, 5
TEXT_LENGTH = 60

NUMBERS = {"float4", "float8", "int2", "int4", "int8", "numeric"}
TIMES = {"date", "timestamp", "timestamptz"}
TEXTS = {"bpchar", "text", "uuid", "varchar"}


@dataclass(frozen=True)
class Column:
    """A feature's column, and how its values become numbers or texts.

    Attributes:
        kind: `number`, `time` (seconds since 1970), `length` (of bytes, lists and documents) or `text`.
        value: SQL for the number (double precision), or the text.
    """

    name: str
    kind: str
    value: sql.Composed


@dataclass(frozen=True)
class Bins:
    """How values are told apart: by edges, n of which make n + 1 bins, or by texts, where bin 0 is any other."""

    kind: str
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.levels if self.kind == "text" else self.edges) + 1


def column(name: str, postgres_type: str) -> Column:
    """The column of a type, by Postgres' own name for it (`int8`, `_text`)."""
    from psycopg import sql

    if postgres_type in TEXTS:
        kind, value = "text", f"left({{}}::text, {TEXT_LENGTH})"
    elif postgres_type in NUMBERS:
        kind, value = "number", "{}::float8"
    elif postgres_type == "bool":
        kind, value = "number", "{}::int::float8"
    elif postgres_type in TIMES:
        kind, value = "time", "extract(epoch from {})::float8"
    elif postgres_type.startswith("_"):
        kind, value = "length", "cardinality({})::float8"
    elif postgres_type == "bytea":
        kind, value = "length", "octet_length({})::float8"
    else:
        kind, value = "length", "length({}::text)::float8"
    return Column(name, kind, sql.SQL(value).format(sql.Identifier(name)))  # pyright: ignore[reportArgumentType]


def choose(
    connection: psycopg.Connection, rows: sql.Composed, count: int, columns: Sequence[Column]
) -> dict[str, Bins]:
    """Bins for every column, from about SAMPLE_ROWS of the rows; without bins for what has no value in them."""
    drawn = sample_of(rows, count)
    numbers = [c for c in columns if c.kind != "text"]
    texts = [c for c in columns if c.kind == "text"]
    found = dict(_numeric(connection, drawn, numbers)) if numbers else {}
    found |= dict(_categories(connection, drawn, texts, min(count, SAMPLE_ROWS))) if texts else {}
    return found


def edges_of(values: Sequence[float], distinct: int, low: float, high: float) -> tuple[float, ...]:
    """Edges that give few values a bin each, and many values BINS bins of one width; outer bins are open.

    Args:
        values: the smallest different ones of the sample, all of them where there are at most LEVELS.
        low, high: what the equal bins span.
    """
    if distinct > LEVELS and low < high:
        return tuple(low + (high - low) * i / BINS for i in range(BINS + 1))
    if distinct > LEVELS:
        values = (low,)
    gaps = [b - a for a, b in pairwise(values)]
    reach = min(gaps, default=max(abs(values[0]) * 1e-6, 1e-6)) / 2
    inner = [a + gap / 2 for a, gap in zip(values, gaps, strict=False)]
    return (values[0] - reach, *inner, values[-1] + reach)


def sample_of(rows: sql.Composed, count: int) -> sql.Composed:
    """A query for about SAMPLE_ROWS of the rows, drawn evenly; for all of them where there are no more."""
    from psycopg import sql

    if count <= SAMPLE_ROWS:
        return rows
    share = sql.Literal(SAMPLE_ROWS / count)
    return sql.SQL("select * from ({}) as served where random() < {}").format(rows, share)


def _sampled(drawn: sql.Composed, columns: Sequence[Column]) -> sql.Composed:
    """A common table of (feature's number, value), a row a value."""
    from psycopg import sql

    values = sql.SQL(", ").join(
        sql.SQL("({}, {})").format(sql.Literal(number), c.value) for number, c in enumerate(columns)
    )
    return sql.SQL(
        "with sampled as materialized ({drawn}),"
        " cells(feature, x) as (select feature, x from sampled cross join lateral (values {values})"
        " as cell(feature, x) where x is not null)"
    ).format(drawn=drawn, values=values)


def _numeric(connection: psycopg.Connection, drawn: sql.Composed, columns: Sequence[Column]) -> list[tuple[str, Bins]]:
    from psycopg import sql

    query = sql.SQL(
        "{cells} select feature, (array_agg(distinct x order by x))[1:{levels}], count(distinct x),"
        " percentile_disc({low}) within group (order by x), percentile_disc({high}) within group (order by x)"
        " from cells where abs(x) < 'Infinity' group by feature"
    ).format(
        cells=_sampled(drawn, columns),
        levels=sql.Literal(LEVELS),
        low=sql.Literal(LOW),
        high=sql.Literal(HIGH),
    )
    return [
        (columns[number].name, Bins(columns[number].kind, edges=edges_of(values, distinct, low, high)))
        for number, values, distinct, low, high in connection.execute(query)
    ]


def _categories(
    connection: psycopg.Connection, drawn: sql.Composed, columns: Sequence[Column], count: int
) -> list[tuple[str, Bins]]:
    from psycopg import sql

    least = max(LEAST_ROWS, math.ceil(count * LEAST_SHARE))
    query = sql.SQL(
        "{cells} select feature, x from (select feature, x, row_number() over"
        " (partition by feature order by count(*) desc, x) as place from cells group by feature, x"
        " having count(*) >= {least}) as ranked where place <= {levels} order by feature, place"
    ).format(cells=_sampled(drawn, columns), least=sql.Literal(least), levels=sql.Literal(LEVELS))
    levels: Mapping[int, list[str]] = {number: [] for number in range(len(columns))}
    for number, text in connection.execute(query):
        levels[number].append(text)
    return [(columns[number].name, Bins("text", levels=tuple(found))) for number, found in levels.items()]
