"""The whole of the asset feast/registry: check, compare, plan, apply and remember, as the only writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from terrane.postgres import PostgresResource
from terrane_features.feast_internals import apply_all
from terrane_features.online_store.rows import remove_view
from terrane_features.online_store.written import replace, written_views
from terrane_features.registry import plan as planning
from terrane_features.registry.state import applied_digest, only_writer, registered_views, remember_digest
from terrane_features.repository.model import Repository
from terrane_features.repository.table_schema import check_views
from terrane_features.resources import FeastResource

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Outcome:
    """What was done.

    Attributes:
        applied: False when the registry already held these definitions.
        removed_online: deleted view -> how many entities lost its values in Redis.
    """

    repository: Repository
    applied: bool
    changes: list[planning.Change] = field(default_factory=list)
    removed_online: dict[str, int] = field(default_factory=dict)


def register(feast: FeastResource, warehouse: PostgresResource, *, allow_deletions: bool, run_id: str) -> Outcome:
    """Brings Feast's registry to what the repository declares, unless it is there already.

    Where deletions are allowed, what Redis holds of views that are declared no more is removed, whoever deleted them.

    Raises ColumnsDoNotFit, DeletionRefused or RepositoryMisread before anything is written; RepositoryError when the
    repository cannot be read; psycopg.OperationalError when the warehouse cannot be reached.
    """
    repository = feast.repository()
    with only_writer(warehouse, repository.project) as connection:
        check_views(connection, repository.views)
        registered = registered_views(connection, repository.project)
        if applied_digest(connection, repository.project) == repository.digest and registered >= _names(repository):
            removed = _remove_online(feast, connection, repository) if allow_deletions else {}
            return Outcome(repository, applied=False, removed_online=removed)
        contents = feast.contents()
        store = feast.store()
        planning.check_agreement(repository, contents)
        changes = planning.plan(store, contents)
        if not allow_deletions:
            planning.refuse_deletions(changes)
        apply_all(store, contents)
        removed = _remove_online(feast, connection, repository) if allow_deletions else {}
        remember_digest(connection, repository.project, repository.digest, run_id)
    return Outcome(repository, applied=True, changes=changes, removed_online=removed)


def _remove_online(feast: FeastResource, connection: psycopg.Connection, repository: Repository) -> dict[str, int]:
    """Removes from Redis the rows of views that the repository lacks; Feast's own way holds every key in memory."""
    removed: dict[str, int] = {}
    client = feast.online_store().client()
    for written in written_views(connection, repository.project):
        if written.view not in _names(repository):
            count = remove_view(client, repository.project, written)
            removed[written.view] = removed.get(written.view, 0) + count
    for name in removed:
        replace(connection, repository.project, name, None)
    return removed


def _names(repository: Repository) -> set[str]:
    return {view.name for view in repository.views}
