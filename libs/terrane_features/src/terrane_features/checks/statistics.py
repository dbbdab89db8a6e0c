"""The features of a view counted in the warehouse: all rows in one pass, and an even sample of them in bins.

No row leaves the warehouse; what comes back is a line of totals, and one for each bin of each feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from terrane_features.checks.bins import Bins, Column, choose, column, sample_of

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from terrane_features.repository.model import FeatureView

# The bin of NaN and the infinities, which have no place on a scale.
STRANGE = -1
TOTALS = 5
# Postgres gives a row at most 1,664 columns.
TOTALLED_AT_A_TIME = 300
LONGEST_S = 120


class NotMeasured(RuntimeError):
    """The warehouse could not count; the message says why."""


@dataclass(frozen=True)
class FeatureStatistics:
    """What a feature's values were like.

    Attributes:
        rows, nulls, strange: all, those without a value, and those with NaN or an infinity.
        counts: rows of the sample in each of the bins.
        mean, least, most: of all other numbers; None for texts, and where there is none.
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
        compared: the same sample in the bins of the last run, where it had the feature.
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
    totals: list[Any] = []
    for start in range(0, len(columns), TOTALLED_AT_A_TIME):
        some = connection.execute(_totals_query(columns[start : start + TOTALLED_AT_A_TIME], rows, count)).fetchone()
        assert some is not None
        totals += some
    now = [bins.get(c.name, Bins(c.kind)) for c in columns]
    then = [_bins_before(before, c) for c in columns]
    cells = connection.execute(_bins_query(columns, sample_of(rows, count), now, then)).fetchall()
    features, compared = {}, {}
    for number, c in enumerate(columns):
        own = [cell[1:] for cell in cells if cell[0] == number]
        counts = _counts([(place, n) for place, _, n in own], now[number])
        features[c.name] = _feature(totals[TOTALS * number : TOTALS * (number + 1)], now[number], count, counts)
        if (old := then[number]) is not None:
            compared[c.name] = _counts([(placed, n) for _, placed, n in own], old)
    return Statistics(count, features, compared)


def _bins_before(before: Statistics | None, c: Column) -> Bins | None:
    """The last run's bins of the feature, unless it is of another kind now."""
    feature = before.features.get(c.name) if before else None
    return feature.bins if feature and feature.bins.kind == c.kind else None


def _totals_query(columns: Sequence[Column], rows: sql.Composed, count: int) -> sql.Composed:
    """One scan for TOTALS of each feature: values, finite ones, and their mean, least and most.

    The mean is a sum of shares, which cannot overflow.
    """
    from psycopg import sql

    numeric = (
        "count({x}), count(*) filter (where abs({x}) < 'Infinity'),"
        " sum({x} / {n}) filter (where abs({x}) < 'Infinity'), min({x}) filter (where abs({x}) < 'Infinity'),"
        " max({x}) filter (where abs({x}) < 'Infinity')"
    )
    text = "count({x}), count({x}), null::float8, null::float8, null::float8"
    share = sql.Literal(float(max(count, 1)))
    totals = [sql.SQL(text if c.kind == "text" else numeric).format(x=c.value, n=share) for c in columns]
    return sql.SQL("select {} from ({}) as served").format(sql.SQL(", ").join(totals), rows)


def _bins_query(
    columns: Sequence[Column], drawn: sql.Composed, now: Sequence[Bins], then: Sequence[Bins | None]
) -> sql.Composed:
    """Rows by feature, bin of now and bin of then."""
    from psycopg import sql

    cells = []
    for number, (c, new, old) in enumerate(zip(columns, now, then, strict=True)):
        placed = _place(c, old) if old else sql.SQL("null::int")
        cells.append(sql.SQL("({}, {}, {})").format(sql.Literal(number), _place(c, new), placed))
    return sql.SQL(
        "select feature, place, placed, count(*) from ({drawn}) as drawn cross join lateral (values {cells})"
        " as cell(feature, place, placed) group by feature, place, placed"
    ).format(drawn=drawn, cells=sql.SQL(", ").join(cells))


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


def _feature(totals: Sequence[Any], bins: Bins, rows: int, counts: tuple[int, ...]) -> FeatureStatistics:
    values, finite, share, least, most = totals
    mean = share * (rows / finite) if share is not None else None
    return FeatureStatistics(bins, rows, rows - values, values - finite, counts, mean, least, most)


def _counts(places: Sequence[tuple[int | None, int]], bins: Bins) -> tuple[int, ...]:
    counts = [0] * bins.count
    for place, n in places:
        if place is not None and place != STRANGE:
            counts[place] += n
    return tuple(counts)
