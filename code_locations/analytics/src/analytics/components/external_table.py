"""A raw table of any source, declared in YAML: HTTP, another Postgres, or files."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from analytics.components.columns import ColumnSpec, as_columns
from analytics.components.external_source import Database, Files, Http
from analytics.components.raw_asset import raw_asset
from analytics.components.reading_sources import Asked, read_source
from analytics.components.refused_rows import refused_rows
from analytics.components.whole_table import Allowed
from analytics.external import Target
from analytics.source.plain import Field
from analytics.warehouse.tables import Table
from analytics.warehouse.writing import Deletions, Disposition, Writing
from terrane.errors import as_failures
from terrane.object_store import ObjectStoreResource
from terrane.policies import until_there
from terrane.postgres import PostgresResource


@dataclass
class ExternalColumn(ColumnSpec):
    """A column, and where its value is.

    Attributes:
        field: of the source's row, as user.id; the column's name where it is left out.
        optional: rows that lack the field have null; without this, a row that lacks it fails the run.
    """

    field: str | None = None
    optional: bool = False


@dataclass
class ExternalTable(dg.Component, dg.Resolvable):
    """The asset `raw/<table>`, from one of http, database and files; asked for by itself only until it is there.

    A run is one transaction, of files one for each. What is new is known from the table itself, so that after a restore
    what is missing is asked for again. Rows that are not of the columns' types are refused one by one.

    Attributes:
        table: its name among the raw ones.
        write: append (keys that are there stay as they are), replace (what came in is the table), or merge (of each
            key the newest).
        key: the column of the primary key.
        columns: name, type and description, and where the value is.
        description: of the asset.
        newest_by: column by which the newest of a key is known, and from which `since` goes on.
        deletions: `delete` or `keep` rows that are flagged, or, of `replace`, gone; those that are kept are counted.
        deleted_flag: column that is true, or a time, in rows that are deleted at the source.
        least_kept: of `replace`, the share of the table's rows that must come in at least; 0 takes whatever comes.
        fill_new_columns: read all once more when a column is new here, so that older rows have it.
        http, database, files: where it comes from.
        fresh_hours: how old the newest materialisation may be before the asset counts as stale.
        retries: how often a failure that may pass is tried again within the run.
        retry_delay_s: the wait before the first of them; it doubles.
    """

    table: str
    write: Disposition
    columns: Sequence[ExternalColumn]
    description: str
    key: str = "id"
    newest_by: str | None = None
    deletions: Deletions = "delete"
    deleted_flag: str | None = None
    least_kept: float = 0.5
    fill_new_columns: bool = False
    http: Http | None = None
    database: Database | None = None
    files: Files | None = None
    fresh_hours: int = 30
    retries: int = 2
    retry_delay_s: float | None = None

    def __post_init__(self) -> None:
        if sum(source is not None for source in (self.http, self.database, self.files)) != 1:
            raise ValueError(f"raw/{self.table} comes from exactly one of http, database and files")
        names = [column.name for column in self.columns]
        for what in ("key", "newest_by", "deleted_flag"):
            if getattr(self, what) not in (None, *names):
                raise ValueError(f"{what} of raw/{self.table} is {getattr(self, what)}, which is none of its columns")
        since = (self.http or self.database) and (self.http or self.database).since  # pyright: ignore[reportOptionalMemberAccess]
        if since and (not self.newest_by or self.write == "replace"):
            raise ValueError(f"since of raw/{self.table} needs newest_by, and append or merge: it is not read whole")
        newest = next((column.type for column in self.columns if column.name == self.newest_by), "")
        if since and self.newest_by != self.key and "not null" not in newest.lower():
            raise ValueError(
                f"{self.newest_by} of raw/{self.table} is not declared `not null`: a row without it is never new, and "
                "would be lost in silence; with `not null` it is refused and told"
            )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        columns = as_columns(self.columns)
        table = Table(self.table, columns, self.key, self.newest_by)
        specs = zip(columns, self.columns, strict=True)
        fields = [Field(column, spec.field or spec.name, spec.optional) for column, spec in specs]
        asked = Asked(fields, self.http, self.database, self.files)

        @dg.asset(
            automation_condition=until_there(),
            **raw_asset(table, self, asked.kind),
        )
        def ingested(
            context: dg.AssetExecutionContext,
            config: Allowed,
            object_store: ObjectStoreResource,
            warehouse: PostgresResource,
        ) -> dg.MaterializeResult:
            least_kept = 0 if config.allow_fewer_rows else self.least_kept
            writing = Writing(self.write, self.deletions, self.deleted_flag, least_kept)
            target = Target(table, writing, asked.since is not None, self.fill_new_columns)
            with as_failures():
                taken = read_source(warehouse, object_store, target, asked, context.run.run_id)
            gone = taken.deleted if self.deletions == "delete" else 0
            kept = {"kept_though_gone": taken.rows - taken.came + gone} if self.write == "replace" else {}
            return dg.MaterializeResult(
                metadata={
                    "dagster/row_count": taken.rows,
                    "rows_that_came": taken.came,
                    "rows_refused": taken.refused,
                    "rows_flagged_as_deleted": taken.deleted,
                    **kept,
                    **({"files": len(taken.parts)} if self.files else {}),
                }
            )

        return dg.Definitions(assets=[ingested], asset_checks=[refused_rows(table)])
