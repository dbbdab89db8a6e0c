"""What tests of the step library share: a run's schema on real PostGIS, tables of WKT, and a step applied to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane_spatial.transforms import apply_step
from terrane_spatial.transforms.parsing import parse
from terrane_spatial.transforms.row_balance import Balance, balance

if TYPE_CHECKING:
    import psycopg


@dataclass
class Bench:
    """A schema of a run in which steps are tried, one table at a time."""

    connection: psycopg.Connection

    def table(self, name: str, columns: dict[str, str], rows: Iterable[tuple[Any, ...]], srid: int = 4326) -> None:
        """Makes a table as loading does. A row's last value is its geometry as WKT, or None."""
        from psycopg import sql

        typed = [sql.SQL("{} {}").format(sql.Identifier(c), sql.SQL(kind)) for c, kind in columns.items()]  # type: ignore[arg-type]
        typed.append(sql.SQL("geometry geometry(Geometry, {})").format(sql.Literal(srid)))
        table = sql.Identifier(name)
        self.connection.execute(sql.SQL("create unlogged table {} ({})").format(table, sql.SQL(", ").join(typed)))
        count = 0
        for row in rows:
            values: list[sql.Composable] = [sql.Literal(v) for v in row[:-1]]
            values.append(sql.SQL("st_geomfromewkt({})").format(sql.Literal(row[-1] and f"SRID={srid};{row[-1]}")))
            self.connection.execute(sql.SQL("insert into {} values ({})").format(table, sql.SQL(", ").join(values)))
            count += 1
        self.connection.execute("insert into _loads (table_name, rows, srid) values (%s, %s, %s)", [name, count, srid])

    def apply(self, step: str, /, **parameters: Any) -> str:
        """Applies one step as YAML would give it; returns what it told."""
        if "with_" in parameters:
            parameters["with"] = parameters.pop("with_")
        (parsed,) = parse("bench", [{step: parameters}], Path())
        assert not hasattr(parsed, "path")
        return apply_step.apply(self.connection, parsed, f"dataset bench, step 1 ({step})")  # type: ignore[arg-type]

    def rows(self, name: str, *values: str) -> list[tuple[Any, ...]]:
        """The rows of a table: all columns but the geometry, or the expressions that are given; ordered."""
        chosen = ", ".join(values) or ", ".join(apply_step.describe(self.connection, name, "bench").columns)
        return self.connection.execute(f"select {chosen} from {name} order by 1".encode()).fetchall()

    def told(self, name: str) -> dict[tuple[str, str], int]:
        """The tally of a table: outcome and reason to rows."""
        found = self.connection.execute(
            "select outcome, reason, sum(rows)::int from _tally where table_name = %s group by 1, 2", [name]
        )
        return {(outcome, reason): rows for outcome, reason, rows in found.fetchall()}

    def balance(self, name: str) -> Balance:
        """The table's balance, as if it were what is published."""
        return balance(self.connection, name, name)
