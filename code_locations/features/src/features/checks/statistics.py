"""Every feature of a view counted in bins, in the warehouse: one pass over the rows, after a sample chose the bins.

No row leaves the warehouse; what comes back is a line for each bin of each feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from features.checks.bins import Bins, Column, choose, column

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from features.repository import FeatureView

# The bin of NaN and the infinities, which have no place on a scale.
STRANGE = -1
LONGEST_S = 120


class NotMeasured(RuntimeError):
    """The warehouse could not count; the message says why."""


@dataclass(frozen=True)
class FeatureStatistics:
    """What a feature's values were like.

    Attributes:
        nulls, strange: rows without a value, and with NaN or an infinity.
        counts: rows in each of the bins.
        mean, least, most: of the other numbers; None for texts, and where there is none.
    """

    bins: Bins
    rows: int
    nulls: int
    strange: int
    counts: tuple[int, ...]
    mean: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def null_rate(self) -> float:
        return self.nulls / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Statistics:
    """A view's features, counted.

    Attributes:
        compared: the same rows in the bins of the last run, where it had the feature.
    """

    rows: int
    features: dict[str, FeatureStatistics]
    compared: dict[str, tuple[int, ...]] = field(default_factory=dict)


def measure(
    connection: psycopg.Connection,
    view: FeatureView,
    types: Mapping[str, str],
    rows: sql.Composed,
    count: int,
    before: Statistics | None,
) -> Statistics:
    """Counts the rows' features.

    Args:
        connection: inside a transaction, of which a savepoint is used up.
        types: Postgres' type name by column.
        rows: a query for them.
        count: how many there are.
        before: the last run's, for its bins.

    Raises NotMeasured when it takes longer than LONGEST_S, or a value cannot be counted.
    """
    import psycopg

    columns = [column(feature.name, types[feature.name]) for feature in view.features]
    try:
        with connection.transaction():
            connection.execute(f"set local statement_timeout = '{LONGEST_S}s'".encode())
            # Compiling takes longer than counting a million rows does.
            connection.execute("set local jit = off")
            return _measure(connection, columns, rows, count, before)
    except (psycopg.errors.QueryCanceled, psycopg.DataError) as error:
        raise NotMeasured(f"the features of {view.name} were not counted: {error}".strip()) from error


def _measure(
    connection: psycopg.Connection,
    columns: Sequence[Column],
    rows: sql.Composed,
    count: int,
    before: Statistics | None,
) -> Statistics:
    bins = choose(connection, rows, count, columns)
    now = [bins.get(c.name, Bins(c.kind)) for c in columns]
    then = [_bins_before(before, c) for c in columns]
    cells = connection.execute(_query(columns, rows, now, then, count)).fetchall()
    features, compared = {}, {}
    for number, c in enumerate(columns):
        own = [cell[1:] for cell in cells if cell[0] == number]
        features[c.name] = _feature(own, now[number], count)
        if (old := then[number]) is not None:
            compared[c.name] = _counts([(at, n) for _, at, n, *_ in own], old)
    return Statistics(count, features, compared)


def _bins_before(before: Statistics | None, c: Column) -> Bins | None:
    """The last run's bins of the feature, unless it is of another kind now."""
    feature = before.features.get(c.name) if before else None
    return feature.bins if feature and feature.bins.kind == c.kind else None


def _query(
    columns: Sequence[Column], rows: sql.Composed, now: Sequence[Bins], then: Sequence[Bins | None], count: int
) -> sql.Composed:
    """One scan: a cell a feature a row, grouped by its bin of now and of then.

    The mean is a sum of shares, which cannot overflow.
    """
    from psycopg import sql

    cells = []
    for number, (c, new, old) in enumerate(zip(columns, now, then, strict=True)):
        number_of_row = sql.SQL("null::float8") if c.kind == "text" else c.value
        placed = _place(c, old) if old else sql.SQL("null::int")
        cells.append(sql.SQL("({}, {}, {}, {})").format(sql.Literal(number), _place(c, new), placed, number_of_row))
    return sql.SQL(
        "select feature, place, placed, count(*), sum(x / {count}), min(x), max(x) from ({rows}) as served"
        " cross join lateral (values {cells}) as cell(feature, place, placed, x) group by feature, place, placed"
    ).format(count=sql.Literal(float(max(count, 1))), rows=rows, cells=sql.SQL(", ").join(cells))


def _place(c: Column, bins: Bins) -> sql.Composed:
    """SQL for the bin of a value; null for null."""
    from psycopg import sql

    if c.kind == "text":
        levels = sql.Literal(list(bins.levels))
        place = sql.SQL("case when {value} is not null then coalesce(array_position({levels}::text[], {value}), 0) end")
        return place.format(value=c.value, levels=levels)
    edges = sql.Literal(list(bins.edges))
    place = sql.SQL(
        "case when abs({value}) < 'Infinity' then width_bucket({value}, {edges}::float8[])"
        " when {value} is not null then {strange} end"
    )
    return place.format(value=c.value, edges=edges, strange=sql.Literal(STRANGE))


def _feature(cells: Sequence[tuple[Any, ...]], bins: Bins, rows: int) -> FeatureStatistics:
    """From a feature's cells: place now, place then, rows, sum of shares, least, most."""
    nulls = sum(n for place, _, n, *_ in cells if place is None)
    ordinary = [cell for cell in cells if cell[0] is not None and cell[0] != STRANGE]
    strange = sum(n for place, _, n, *_ in cells if place == STRANGE)
    counts = _counts([(place, n) for place, _, n, *_ in cells], bins)
    numbers = [cell for cell in ordinary if cell[3] is not None]
    if not numbers:
        return FeatureStatistics(bins, rows, nulls, strange, counts)
    some = sum(n for _, _, n, *_ in numbers)
    mean = sum(share for *_, share, _, _ in numbers) * (rows / some)
    return FeatureStatistics(
        bins, rows, nulls, strange, counts, mean, min(c[4] for c in numbers), max(c[5] for c in numbers)
    )


def _counts(places: Sequence[tuple[int | None, int]], bins: Bins) -> tuple[int, ...]:
    counts = [0] * bins.count
    for place, n in places:
        if place is not None and place != STRANGE:
            counts[place] += n
    return tuple(counts)
