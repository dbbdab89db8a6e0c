"""Whether every row that came in is accounted for: out, dropped, a duplicate, rejected, or part of another.

Rows come in from a file, or from the table of which a step made a new one (`_derived`). Rows that a step makes of
others, as the parts of a geometry cut small, are counted as made.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from terrane_spatial.errors import StageError

if TYPE_CHECKING:
    import psycopg

COUNTS = """
select
    coalesce(
        (select rows from _loads where table_name = %(table)s),
        (select rows from _derived where table_name = %(table)s),
        0
    ),
    coalesce(sum(rows) filter (where outcome = 'dropped'), 0)::bigint,
    coalesce(sum(rows) filter (where outcome = 'duplicate'), 0)::bigint,
    coalesce(sum(rows) filter (where outcome = 'repaired'), 0)::bigint,
    coalesce(sum(rows) filter (where outcome = 'merged'), 0)::bigint,
    coalesce(sum(rows) filter (where outcome = 'made'), 0)::bigint,
    coalesce(sum(rows) filter (where outcome = 'rejected'), 0)::bigint
from _tally where table_name = %(table)s
"""


@dataclass(frozen=True)
class Balance:
    """What became of one table's rows.

    Attributes:
        rows_in: read from the file, or from the table of which this one was made.
        rows_out: what will be published.
        merged: rows that became part of another row.
        made: rows that a step made of others.
        left: rows of a table that is not published, at the end.
        rejected: rows of the file that no table got, such as those with coordinates that are no numbers.
    """

    table: str
    rows_in: int
    rows_out: int
    dropped: int
    duplicates: int
    repaired: int
    merged: int = 0
    made: int = 0
    left: int = 0
    rejected: int = 0

    @property
    def holds(self) -> bool:
        return self.surplus == 0

    @property
    def surplus(self) -> int:
        """Rows accounted for beyond those there were; below zero, rows that were lost."""
        accounted = self.rows_out + self.left + self.dropped + self.duplicates + self.merged + self.rejected
        return accounted - self.rows_in - self.made

    def __str__(self) -> str:
        told = (
            f"{self.table}: {self.rows_in} rows in, {self.rows_out} out, {self.dropped} dropped, "
            f"{self.duplicates} duplicates, {self.repaired} repaired"
        )
        more = {"rejected": self.rejected, "merged": self.merged, "made": self.made, "not published": self.left}
        return told + "".join(f", {number} {what}" for what, number in more.items() if number)


class NotConservedError(StageError):
    """Rows were lost or made by a dataset's SQL."""

    def __init__(self, balances: Sequence[Balance]):
        wrong = "; ".join(f"{b} ({b.surplus:+d})" for b in balances if not b.holds)
        super().__init__(
            f"Rows are not conserved, so nothing is published. {wrong}. "
            "Every input row must be in out_<table>, or in _tally as dropped, duplicate or merged: "
            "mend the dataset's SQL, then re-execute the run"
        )


def balance(connection: psycopg.Connection, table: str, published_as: str | None) -> Balance:
    """The balance of a table.

    Args:
        published_as: the table that holds its rows when they are published; None where it holds its own.
    """
    rows_in, dropped, duplicates, repaired, merged, made, rejected = (
        connection.execute(COUNTS, {"table": table}).fetchone() or (0,) * 7
    )
    rows = _rows(connection, published_as or table)
    out, left = (rows, 0) if published_as else (0, rows)
    return Balance(table, rows_in, out, dropped, duplicates, repaired, merged, made, left, rejected)


def note(connection: psycopg.Connection, balances: Sequence[Balance]) -> None:
    """Keeps the balances for the stage that publishes, so that no table is counted again."""
    told = [(each.table, json.dumps(asdict(each))) for each in balances]
    connection.cursor().executemany("insert into _balances (table_name, balance) values (%s, %s)", told)


def noted(connection: psycopg.Connection) -> list[Balance]:
    """The balances that were noted, in their order."""
    rows = connection.execute("select balance from _balances order by number").fetchall()
    return [Balance(**balance) for (balance,) in rows]


def _rows(connection: psycopg.Connection, table: str) -> int:
    """The table's rows; none when it is gone."""
    from psycopg import sql

    name = sql.Identifier(table)
    if connection.execute("select to_regclass(%s)", [name.as_string(connection)]).fetchone() == (None,):
        return 0
    row = connection.execute(sql.SQL("select count(*) from {}").format(name)).fetchone()
    return row[0] if row else 0
