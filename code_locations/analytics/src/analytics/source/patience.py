"""When a source may be asked again, as it said itself: kept in the warehouse, that no run of any asset is earlier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from analytics.source.asking import ComeBackLater
from analytics.warehouse import tables
from terrane.errors import NotYet, database_errors
from terrane.postgres import PostgresResource


class Client(Protocol):
    """What asks a source.

    Attributes:
        url: that what it said is kept by.
    """

    url: str


@contextmanager
def not_before(warehouse: PostgresResource, client: Client) -> Iterator[None]:
    """Around what asks the source. Raises NotYet, with nothing asked, before the moment that it named."""
    from psycopg import sql

    name = sql.Identifier(tables.schema(), tables.NOT_BEFORE)
    with (
        database_errors(warehouse, "reading when the source may be asked"),
        warehouse.connect(autocommit=True) as connection,
    ):
        tables.ensure_not_before(connection)
        query = sql.SQL("select until from {} where url = %s and until > now()").format(name)
        found = connection.execute(query, [client.url]).fetchone()
    if found:
        raise NotYet(
            f"the API at {client.url} asked to come back at {found[0].astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, and was "
            "not asked. What is due is asked for after that by itself"
        )
    try:
        yield
    except ComeBackLater as error:
        remember(warehouse, client.url, error.until)
        raise


def remember(warehouse: PostgresResource, url: str, until: datetime) -> None:
    """Keeps what the source said, for all that asks it."""
    from psycopg import sql

    statement = sql.SQL(
        "insert into {} (url, until) values (%s, %s) on conflict (url) do update set until = excluded.until"
    ).format(sql.Identifier(tables.schema(), tables.NOT_BEFORE))
    with database_errors(warehouse, "keeping when the source may be asked"), warehouse.connect() as connection:
        connection.execute(statement, [url, until])
