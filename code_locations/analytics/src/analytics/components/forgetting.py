"""What forgets a person here: the job that `terrane forget` launches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from analytics.forgetting.files import forget_in_files
from analytics.forgetting.rows import Person, forget_rows
from terrane.errors import Permanent, as_failures, lake_errors
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.policies import retry_policy
from terrane.postgres import PostgresResource

PREFIXES = ("exports", "training_sets", "asset_values")


class Whom(dg.Config):
    """Whom to forget: the kind, as `users`, and the id."""

    kind: str
    id: str


@dataclass
class Forgetting(dg.Component, dg.Resolvable):
    """The job `forget`: a person's rows go from every table of the warehouse and every published file.

    Attributes:
        kind: as `terrane forget <kind> <id>` says it.
        column: what the id is called in tables and files.
        called: raw tables in which it is called otherwise, as {users: id}.
        datasets: what the names of the lake's datasets begin with that are looked through.
    """

    kind: str
    column: str
    called: Mapping[str, str] = field(default_factory=dict)
    datasets: Sequence[str] = PREFIXES

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        @dg.op(name="forget_person", retry_policy=retry_policy())
        def op(
            context: dg.OpExecutionContext,
            config: Whom,
            warehouse: PostgresResource,
            object_store: ObjectStoreResource,
        ) -> None:
            with as_failures():
                if config.kind != self.kind:
                    raise Permanent(f"this location knows {self.kind}, and not {config.kind}; nothing was forgotten")
                rows = forget_rows(warehouse, Person(config.id, self.column, self.called))
                with lake_errors(object_store, "forgetting in files"):
                    lake = object_store.bucket(DATA_LAKE)
                    files = forget_in_files(lake, self.datasets, self.column, config.id)
            context.log.info(f"rows of tables that went: {rows or 'none'}; of files: {files.rows or 'none'}")
            if files.unread:
                context.log.warning(f"files that nobody can look into: {', '.join(files.unread)}")

        @dg.job(name="forget", description=f"Forgets one of the {self.kind}: launched by `terrane forget {self.kind}`.")
        def job() -> None:
            op()

        return dg.Definitions(jobs=[job])
