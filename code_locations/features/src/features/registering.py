"""The whole of the asset feast/registry: check, compare, plan, apply and remember, as the only writer."""

from __future__ import annotations

from dataclasses import dataclass, field

from features import applying
from features.columns import check_views
from features.feast_store import FeastResource
from features.registry_state import applied_digest, only_writer, registered_views, remember_digest
from features.repository import Repository
from terrane.postgres import PostgresResource


@dataclass(frozen=True)
class Outcome:
    """What was done: `applied` is False when the registry already held these definitions."""

    repository: Repository
    applied: bool
    changes: list[applying.Change] = field(default_factory=list)


def register(feast: FeastResource, warehouse: PostgresResource, *, allow_deletions: bool, run_id: str) -> Outcome:
    """Brings Feast's registry to what the repository declares, unless it is there already.

    Raises ColumnsDoNotFit, DeletionRefused or RepositoryMisread before anything is written; RepositoryError when the
    repository cannot be read; psycopg.OperationalError when the warehouse cannot be reached.
    """
    repository = feast.repository()
    with only_writer(warehouse, repository.project) as connection:
        check_views(connection, repository.views)
        registered = registered_views(connection, repository.project)
        if applied_digest(connection, repository.project) == repository.digest and registered >= _names(repository):
            return Outcome(repository, applied=False)
        contents = feast.contents()
        store = feast.store()
        applying.check_agreement(repository, contents)
        changes = applying.plan(store, contents)
        if not allow_deletions:
            applying.refuse_deletions(changes)
        applying.apply(store, contents)
        remember_digest(connection, repository.project, repository.digest, run_id)
    return Outcome(repository, applied=True, changes=changes)


def _names(repository: Repository) -> set[str]:
    return {view.name for view in repository.views}
