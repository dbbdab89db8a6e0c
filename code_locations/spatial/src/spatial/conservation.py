"""Whether every row that came in is accounted for: it went out, was dropped, or was a duplicate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spatial.errors import StepError

if TYPE_CHECKING:
    import psycopg

COUNTS = """
select
    coalesce((select rows from _loads where table_name = %(table)s), 0),
    coalesce(sum(rows) filter (where outcome = 'dropped'), 0)::bigint,
    coalesce(sum(rows) filter (where outcome = 'duplicate'), 0)::bigint,
    coalesce(sum(rows) filter (where outcome = 'repaired'), 0)::bigint
from _tally where table_name = %(table)s
"""


@dataclass(frozen=True)
class Balance:
    """What became of one table's rows. `rows_in` is what was read from the file, `rows_out` what will be published."""

    table: str
    rows_in: int
    rows_out: int
    dropped: int
    duplicates: int
    repaired: int

    @property
    def holds(self) -> bool:
        return self.rows_in == self.rows_out + self.dropped + self.duplicates

    def __str__(self) -> str:
        return (
            f"{self.table}: {self.rows_in} rows in, {self.rows_out} out, {self.dropped} dropped, "
            f"{self.duplicates} duplicates, {self.repaired} repaired"
        )


class NotConservedError(StepError):
    """Rows were lost or made by a dataset's SQL."""

    def __init__(self, balances: Sequence[Balance]):
        wrong = "; ".join(
            f"{b} ({b.rows_out + b.dropped + b.duplicates - b.rows_in:+d})" for b in balances if not b.holds
        )
        super().__init__(
            f"Rows are not conserved, so nothing is published. {wrong}. "
            "Every input row must be in out_<table>, or in _tally as dropped or duplicate: "
            "mend the dataset's SQL, then re-execute the run"
        )


def balance(connection: psycopg.Connection, table: str, rows_out_of: str) -> Balance:
    """The balance of a loaded table and the table that publishes its rows."""
    counts = connection.execute(COUNTS, {"table": table}).fetchone() or (0, 0, 0, 0)
    out = connection.execute(f'select count(*) from "{rows_out_of}"'.encode()).fetchone()  # noqa: S608
    return Balance(table, counts[0], out[0] if out else 0, *counts[1:])
