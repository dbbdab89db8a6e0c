"""Whom a training set is about, and when: a query of the warehouse, looked at before anything is joined to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from terrane import names
from terrane_features.repository.model import FeatureView
from terrane_features.repository.read import elsewhere, tables_of
from terrane_features.training.failures import EntitiesRefused

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

# Feast's own name for the moment of a row.
MOMENT = "event_timestamp"


@dataclass(frozen=True)
class Entities:
    """The query's columns with Postgres' type names, how many rows it has, and their moments as ISO texts.

    Attributes:
        first: the earliest moment; None where no row has one.
    """

    columns: dict[str, str]
    rows: int
    first: str | None
    last: str | None


def clean(query: str) -> str:
    """The query without what would end it inside another, and with `{gold}` and the like as the environment has them; a
    comment on its last line ends with the line."""
    return names.current().sql(query).decode().strip().rstrip(";").strip() + "\n"


def examine(connection: psycopg.Connection, query: str, keys: Sequence[str], features: Sequence[str]) -> Entities:
    """Looks at the query's columns and rows.

    Args:
        keys: the columns that the join compares, beside MOMENT.
        features: the names that the join will add.

    Raises EntitiesRefused; psycopg.Error for a query that Postgres cannot read.
    """
    columns = _columns(connection, query)
    problems = [
        f"it reads the schema {schema}, which {names.VARIABLE}={names.current().environment} has not: write {{gold}} or"
        " {staging}, which is the environment's own"
        for schema, _ in tables_of(query)
        if elsewhere(schema)
    ]
    if problems := problems + _problems(columns, keys, features):
        raise EntitiesRefused(f"The entities' query does not fit: {'; '.join(problems)}.")
    entities = Entities(columns, *_extent(connection, query))
    if not entities.rows:
        raise EntitiesRefused("The entities' query has no rows: there is nothing to train on.")
    return entities


def _columns(connection: psycopg.Connection, query: str) -> dict[str, str]:
    description = connection.execute(_from(query, "select * from {} limit 0")).description or []
    types = connection.adapters.types
    return {c.name: getattr(types.get(c.type_code), "name", "unknown") for c in description}


def _problems(columns: Mapping[str, str], keys: Sequence[str], features: Sequence[str]) -> list[str]:
    problems = [f"it lacks the join key {name}" for name in sorted(set(keys) - set(columns))]
    if MOMENT not in columns:
        problems.append(f"it lacks {MOMENT}, the moment at which a row's features are asked for")
    elif columns[MOMENT] != "timestamptz":
        problems.append(f"{MOMENT} is a {columns[MOMENT]}: cast it to timestamptz, which is one moment everywhere")
    twice = sorted(set(columns) & set(features))
    problems += [f"its column {name} is a feature's name too: rename it, or set full_feature_names" for name in twice]
    return problems


def _extent(connection: psycopg.Connection, query: str) -> tuple[int, str | None, str | None]:
    """Number of rows, and the first and last moment as JSON writes them: infinity too, whatever the session's style."""
    text = "select count(*), to_json(min(event_timestamp)) #>> '{{}}', to_json(max(event_timestamp)) #>> '{{}}' from {}"
    row = connection.execute(_from(query, text)).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def refuse_confusion(connection: psycopg.Connection, query: str, view: FeatureView) -> None:
    """Feast 0.67 tells rows apart by their keys and moment in one text: 1, 12 and 11, 2 are alike to it.

    Raises EntitiesRefused where the query has such rows.
    """
    from psycopg import sql

    if len(view.key_names) < 2:
        return
    keys = [sql.Identifier(name) for name in view.key_names]
    texts = [sql.SQL("cast({} as varchar)").format(name) for name in [*keys, sql.Identifier(MOMENT)]]
    text = sql.SQL("select count(distinct ({})), count(distinct {}) from ({}) as entities")
    counted = text.format(sql.SQL(", ").join([*keys, sql.Identifier(MOMENT)]), sql.SQL(" || ").join(texts), _sql(query))
    row = connection.execute(counted).fetchone()
    assert row is not None
    if row[0] != row[1]:
        raise EntitiesRefused(
            f"The entities' query has rows that Feast takes for one another when it joins {view.name}: the values of"
            f" {', '.join(view.key_names)} read alike when written one after another, as 1, 12 and 11, 2 do. Ask for"
            " them in two training sets."
        )


def _from(query: str, text: str) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(text).format(sql.SQL("({}) as entities").format(_sql(query)))  # pyright: ignore[reportArgumentType]


def _sql(query: str) -> Any:
    """The query as it stands: braces and per cent signs are its author's."""
    from psycopg import sql

    return sql.SQL(query)  # pyright: ignore[reportArgumentType]
