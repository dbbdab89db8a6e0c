"""How many rows each table has that dbt built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from terrane.errors import database_errors
from terrane.postgres import PostgresResource

if TYPE_CHECKING:
    import psycopg

# What the server says of `create table as`; seeds insert in batches, and say the last.
SELECTED = re.compile(r"SELECT (\d+)")


class RowCounts:
    """Counts by one connection, which is opened for the first table that has to be counted."""

    def __init__(self, warehouse: PostgresResource):
        self._warehouse = warehouse
        self._connection: psycopg.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._connection:
            self._connection.close()

    def of(self, node: Mapping[str, Any], relation: tuple[str, str], told: str) -> int | None:
        """Rows of the table, or None of a view, whose rows would be computed for nobody.

        Args:
            node: of the manifest.
            relation: schema and table.
            told: what the warehouse answered to dbt. Of a table that was just made it is the number of rows, unless
                something is done to it afterwards.
        """
        config = node.get("config", {})
        kind = config.get("materialized")
        if kind == "view":
            return None
        said = SELECTED.fullmatch(told)
        if kind == "table" and said and not config.get("post-hook"):
            return int(said[1])
        return self._counted(*relation)

    def _counted(self, schema: str, table: str) -> int:
        import psycopg
        from psycopg import sql

        statement = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
        with database_errors(self._warehouse, f"counting {schema}.{table}"):
            if self._connection:
                try:
                    return _first(self._connection.execute(statement))
                except psycopg.OperationalError:
                    # It may have been cut since the last table, which says nothing of this one.
                    self._connection.close()
            self._connection = self._warehouse.connect(autocommit=True)
            return _first(self._connection.execute(statement))


def _first(found: psycopg.Cursor) -> int:
    row = found.fetchone()
    return row[0] if row else 0
