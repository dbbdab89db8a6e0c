"""The point-in-time join as one SQL statement, whose cost grows with rows and not with rows times events.

Stock's query joins every question to every earlier event of its entity, and then sorts. Here the rows of a source are
ranked once by key, event and created time, so that a later row has a higher rank; questions and ranks then lie in one
sequence of moments per key, in which the highest rank so far is the row that a question gets. Views with the same keys
share the sequence. Rows that a source cannot tell apart share a rank, and multiply a question as they do for stock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from terrane_features.training.entities import MOMENT
from terrane_features.training.options import JoinOptions

# What sorts, hashes and held rows may take of Postgres' memory together, and the bounds of each one's share.
MEMORY_MB = 512
LEAST_MB, MOST_MB = 8, 64
# A view's rows are sorted, held and hashed; a hash may take twice the share.
SHARES_A_VIEW = 4


@dataclass(frozen=True)
class JoinedView:
    """A view as the join needs it.

    Attributes:
        relation: what rows are read from, as it stands after `from`.
        keys: the source's columns, and the questions' that they are compared with.
        key_types: Postgres' types of the source's; views share a sequence only where these are the same.
        features: the source's columns, and what the answer calls them.
        created: when a row was written; empty where nobody says.
        ttl_s: how old an event may be; 0 for any age.
    """

    relation: str
    keys: tuple[tuple[str, str], ...]
    key_types: tuple[str, ...]
    features: tuple[tuple[str, str], ...]
    event: str
    created: str = ""
    ttl_s: int = 0


@dataclass(frozen=True)
class Bounds:
    """The first and the last moment that is asked for, as ISO texts; None where no row has one."""

    first: str | None
    last: str | None


def settings(views: int) -> dict[str, str]:
    """Of the session that joins so many views."""
    share = MEMORY_MB // (SHARES_A_VIEW * views + 2)
    # Postgres knows nothing of ranks: it would expect so many rows that it compiled the plan, for seconds.
    return {"work_mem": f"{min(MOST_MB, max(LEAST_MB, share))}MB", "jit": "off"}


def join_query(
    questions: str, columns: Sequence[str], views: Sequence[JoinedView], bounds: Bounds, options: JoinOptions
) -> sql.Composed:
    """The questions' columns and the views' features, in the order of moment and keys.

    Args:
        questions: a query; of its columns all are answered, MOMENT and the keys among them.
    """
    names = {column: f"c{n}" for n, column in enumerate(columns)}
    parts = [_questions(questions, names)]
    parts += [_ranked(number, view, bounds) for number, view in enumerate(views)]
    before, done = _part("asked"), []
    for number, numbers in enumerate(_sequences(views)):
        parts.append(_sequence(number, before, done, numbers, views, names, options.known_at_the_time))
        before, done = _part("met", number), [*done, *numbers]
    return sql.SQL("with {} {}").format(sql.SQL(",\n").join(parts), _answer(before, views, names))


def _sequences(views: Sequence[JoinedView]) -> list[list[int]]:
    """The views' numbers, those together that have the same keys."""
    together: dict[object, list[int]] = {}
    for number, view in enumerate(views):
        together.setdefault((view.key_types, tuple(asked for _, asked in view.keys)), []).append(number)
    return list(together.values())


def _questions(query: str, names: Mapping[str, str]) -> sql.Composed:
    columns = [sql.SQL("{} as {}").format(sql.Identifier(c), sql.Identifier(name)) for c, name in names.items()]
    return sql.SQL("{} as (select {} from ({}) as q)").format(_part("asked"), _listed(columns), _raw(query))


def _ranked(number: int, view: JoinedView, bounds: Bounds) -> sql.Composed:
    """A view's rows that any question could get: keys, event, created, features, and their rank."""
    keys = [sql.Identifier(column) for column, _ in view.keys]
    event, created = sql.Identifier(view.event), [sql.Identifier(view.created)] if view.created else []
    columns = [
        *[sql.SQL("{} as {}").format(key, _name("k", n)) for n, key in enumerate(keys)],
        sql.SQL("{} as event").format(event),
        *[sql.SQL("{} as created").format(column) for column in created],
        *[sql.SQL("{} as {}").format(sql.Identifier(f), _name("f", n)) for n, (f, _) in enumerate(view.features)],
        sql.SQL("rank() over (order by {}) as rank").format(_listed([*keys, event, *created])),
    ]
    only = [sql.SQL("{} <= {}").format(event, _moment(bounds.last))]
    if view.ttl_s:
        only.append(sql.SQL("{} >= {} - {}").format(event, _moment(bounds.first), _seconds(view.ttl_s)))
    only += [sql.SQL("{} is not null").format(column) for column in [*keys, *created]]
    return sql.SQL("{} as (select {} from {} as sub where {})").format(
        _part("ranked", number), _listed(columns), _raw(view.relation), sql.SQL(" and ").join(only)
    )


def _sequence(
    number: int,
    before: sql.Identifier,
    done: Sequence[int],
    numbers: Sequence[int],
    views: Sequence[JoinedView],
    names: Mapping[str, str],
    known_at_the_time: bool,
) -> sql.Composed:
    """The questions, with the highest rank of each of some views that lies before them in the sequence of their key."""
    keys = [_name("k", n) for n in range(len(views[numbers[0]].keys))]
    kept = [sql.Identifier(name) for name in names.values()] + [_name("r", n) for n in done]
    ranks = [_name("r", n) for n in numbers]
    asked = [
        *kept,
        *[
            sql.SQL("{} as {}").format(sql.Identifier(names[a]), k)
            for k, (_, a) in zip(keys, views[numbers[0]].keys, strict=True)
        ],
        sql.SQL("{}::timestamptz as at").format(sql.Identifier(names[MOMENT])),
        sql.SQL("true as is_asked"),
        *[sql.SQL("null::bigint as {}").format(rank) for rank in ranks],
    ]
    rows = [sql.SQL("select {} from {}").format(_listed(asked), before)]
    for view in numbers:
        own = [sql.SQL("rank") if n == view else sql.SQL("null") for n in numbers]
        columns = [
            *[sql.SQL("null")] * len(kept),
            *keys,
            _known(views[view], known_at_the_time),
            sql.SQL("false"),
            *own,
        ]
        rows.append(sql.SQL("select {} from {}").format(_listed(columns), _part("ranked", view)))
    highest = [sql.SQL("case when at is not null then max({0}) over moments end as {0}").format(rank) for rank in ranks]
    by_key = sql.SQL("partition by {} ").format(_listed(keys)) if keys else sql.SQL("")
    return sql.SQL(
        "{met} as (select {kept} from (select {columns}, is_asked from ({rows}) as both_kinds"
        " window moments as ({by_key}order by at)) as met where is_asked)"
    ).format(
        met=_part("met", number),
        kept=_listed([*kept, *ranks]),
        columns=_listed([*kept, *highest]),
        rows=sql.SQL("\nunion all ").join(rows),
        by_key=by_key,
    )


def _known(view: JoinedView, known_at_the_time: bool) -> sql.SQL:
    """The moment from which on a row counts."""
    if view.created and known_at_the_time:
        return sql.SQL("greatest(event::timestamptz, created::timestamptz)")
    return sql.SQL("event::timestamptz")


def _answer(before: sql.Identifier, views: Sequence[JoinedView], names: Mapping[str, str]) -> sql.Composed:
    moment = sql.SQL("q.{}").format(sql.Identifier(names[MOMENT]))
    columns = [sql.SQL("q.{} as {}").format(sql.Identifier(n), sql.Identifier(column)) for column, n in names.items()]
    joins = []
    for number, view in enumerate(views):
        alias = _name("v", number)
        columns += [
            sql.SQL("{}.{} as {}").format(alias, _name("f", n), sql.Identifier(called))
            for n, (_, called) in enumerate(view.features)
        ]
        on = sql.SQL("{}.rank = q.{}").format(alias, _name("r", number))
        if view.ttl_s:
            on += sql.SQL(" and {}.event >= {} - {}").format(alias, moment, _seconds(view.ttl_s))
        joins.append(sql.SQL("left join {} as {} on {}").format(_part("ranked", number), alias, on))
    keys = sorted({asked for view in views for _, asked in view.keys})
    order = [moment, *[sql.SQL("q.{}").format(sql.Identifier(names[key])) for key in keys]]
    return sql.SQL("select {} from {} as q {} order by {}").format(
        _listed(columns), before, sql.SQL("\n").join(joins), _listed(order)
    )


def _moment(text: str | None) -> sql.Composed:
    return sql.SQL("{}::timestamptz").format(sql.Literal(text))


def _seconds(number: int) -> sql.Composed:
    return sql.SQL("{} * interval '1 second'").format(sql.Literal(number))


def _part(name: str, number: int = 0) -> sql.Identifier:
    """The name of a part of the statement: no table that a query or a source reads is called so."""
    return sql.Identifier(f"terrane {name} {number}")


def _name(prefix: str, number: int) -> sql.Identifier:
    return sql.Identifier(f"{prefix}{number}")


def _listed(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _raw(text: str) -> sql.SQL:
    """SQL as its author wrote it: braces and per cent signs are theirs."""
    return sql.SQL(text)  # pyright: ignore[reportArgumentType]
