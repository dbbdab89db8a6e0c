"""The check that warns of rows of the source that were refused while their day's others were taken."""

import dagster as dg

from analytics.warehouse import tables
from terrane.errors import as_failures, database_errors
from terrane.policies import retry_policy
from terrane.postgres import PostgresResource

NAME = "no_rows_are_refused"
DAYS_TOLD = 31


def refused_rows(table: tables.Table) -> dg.AssetChecksDefinition:
    """Warns as long as a row of the table is in `raw.rejected`; says of which days, and why."""

    @dg.asset_check(
        asset=dg.AssetKey(["raw", table.name]),
        name=NAME,
        retry_policy=retry_policy(),
        description="No row of the source was refused. Warns, with the days: their other rows are taken.",
    )
    def check(warehouse: PostgresResource) -> dg.AssetCheckResult:
        by_day = refused_by_day(warehouse, table)
        told = "\n".join(f"| {day} | {rows} | {reason} |" for day, rows, reason in by_day)
        return dg.AssetCheckResult(
            passed=not by_day,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{sum(rows for _, rows, _ in by_day)} rows of {len(by_day)} days, see raw.rejected: mend them "
            "at the source, or the columns in defs.yaml, then materialise those days again"
            if by_day
            else None,
            metadata={"days": dg.MetadataValue.md(f"| day | rows | such as |\n|---|---|---|\n{told}")} if told else {},
        )

    return check


def refused_by_day(warehouse: PostgresResource, table: tables.Table) -> list[tuple[str, int, str]]:
    """The newest days with refused rows, at most 31: the day, how many, and one of the reasons."""
    from psycopg import sql

    query = sql.SQL(
        "select day::text, count(*), min(column_name || ' ' || reason) from {} where table_name = %s "
        "group by day order by day desc limit %s"
    ).format(sql.Identifier(tables.schema(), tables.REJECTED))
    with (
        as_failures(),
        database_errors(warehouse, f"counting refused rows of {table.qualified}"),
        warehouse.connect() as connection,
    ):
        return connection.execute(query, [table.name, DAYS_TOLD]).fetchall()
