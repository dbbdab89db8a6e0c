"""A table with a column of every type, and a view over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql

from terrane.postgres import PostgresResource
from terrane_features.checks.statistics import Statistics, measure
from terrane_features.materialize.snapshot import Source, newest_rows
from terrane_features.repository.model import Feature, FeatureView
from terrane_features.repository.table_schema import read_columns

TABLE_SQL = """
    create schema gold;
    create table gold.things (
        id bigint, at timestamptz, created timestamptz, whole int, big bigint, real4 real, real8 double precision,
        exact numeric, yes bool, day timestamptz, word text, blob bytea, list double precision[], doc jsonb
    );
"""
FEATURES = ["whole", "big", "real4", "real8", "exact", "yes", "day", "word", "blob", "list", "doc"]
END = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Things:
    """The table, and what is asked of it."""

    connection: psycopg.Connection
    view: FeatureView

    def fill(self, select: str, rows: int) -> None:
        """Adds rows by SQL for the features, in which n counts them."""
        self.connection.execute(
            f"insert into gold.things select n, '2026-01-01'::timestamptz + n * interval '1 second', now(), {select}"
            f" from generate_series(1, {rows}) n".encode()
        )

    def rows(self, *, repeated: bool = False) -> sql.Composed:
        return newest_rows(Source.of(self.view), [f.name for f in self.view.features], END, unique=not repeated)

    def measure(self, before: Statistics | None = None, *, repeated: bool = False) -> Statistics:
        types = read_columns(self.connection, self.view)
        (count,) = self.one("select count(*) from ({}) as t", self.rows(repeated=repeated))
        return measure(self.connection, self.view, types, self.rows(repeated=repeated), count, before)

    def one(self, text: str, *parts: Any) -> Sequence[Any]:
        row = self.connection.execute(sql.SQL(text).format(*parts)).fetchone()  # pyright: ignore[reportArgumentType]
        assert row is not None
        return row


@pytest.fixture
def things(make_database: Callable[..., PostgresResource]):
    view = FeatureView(
        "things", "", (("id", "INT64"),), tuple(Feature(n, "") for n in FEATURES), "gold.things", "at", "created"
    )
    with make_database().connect() as connection:
        connection.execute(TABLE_SQL)
        yield Things(connection, view)
