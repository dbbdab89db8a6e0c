"""The whole of the asset feast/registry: check, compare, plan, apply and remember, as the only writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from terrane.postgres import PostgresResource
from terrane_features.feast_internals import apply_all
from terrane_features.online_store.keys import KeyRecord
from terrane_features.online_store.rows import remove_view
from terrane_features.online_store.written import replace, written_views
from terrane_features.registry import plan as planning
from terrane_features.registry.records import definitions_digest
from terrane_features.registry.state import applied_digests, only_writer, registered_views, remember_digests
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
        changed_by_others: whether the registry was not what was applied last, as after `feast apply` from elsewhere.
        removed_online: deleted view -> how many entities lost its values in Redis.
    """

    repository: Repository
    applied: bool
    changes: list[planning.Change] = field(default_factory=list)
    removed_online: dict[str, int] = field(default_factory=dict)
    changed_by_others: bool = False


def register(feast: FeastResource, warehouse: PostgresResource, *, allow_deletions: bool, run_id: str) -> Outcome:
    """Brings Feast's registry to what the repository declares, unless it holds that already.

    Where deletions are allowed, what Redis holds of views that are declared no more is removed, whoever deleted them.

    Raises ColumnsDoNotFit or DeletionRefused before anything is written; RepositoryError when the
    repository cannot be read; psycopg.OperationalError when the warehouse cannot be reached.
    """
    repository = feast.repository()
    with only_writer(warehouse, repository.project) as connection:
        check_views(connection, [view for view in repository.views if not view.problem])
        registered = registered_views(connection, repository.project)
        held, known = (
            definitions_digest(connection, repository.project),
            applied_digests(connection, repository.project),
        )
        changed_by_others = known is not None and known[1] not in ("", held)
        if known == (repository.digest, held) and registered >= _names(repository):
            removed = (
                _remove_online(feast, connection, repository) if allow_deletions and not repository.problems else {}
            )
            return Outcome(repository, applied=False, removed_online=removed)
        contents = feast.contents()
        store = feast.store()
        changes = planning.plan(store, contents)
        if repository.problems:
            # What a file that cannot be read declares stays as it was.
            changes = [change for change in changes if change.action != "delete"]
        if not allow_deletions:
            planning.refuse_deletions(changes)
        apply_all(store, contents, delete=not repository.problems)
        removed = _remove_online(feast, connection, repository) if allow_deletions and not repository.problems else {}
        held = definitions_digest(connection, repository.project)
        remember_digests(connection, repository.project, repository.digest, held, run_id)
    return Outcome(repository, True, changes, removed, changed_by_others)


def _remove_online(feast: FeastResource, connection: psycopg.Connection, repository: Repository) -> dict[str, int]:
    """Removes from Redis the rows of views that the repository lacks; Feast's own way holds every key in memory."""
    removed: dict[str, int] = {}
    client = feast.online_store().client()
    for written in written_views(connection, repository.project):
        if written.view not in _names(repository):
            record = KeyRecord(connection, repository.project, written.view)
            count = remove_view(client, repository.project, written, record)
            removed[written.view] = removed.get(written.view, 0) + count
    for name in removed:
        replace(connection, repository.project, name, None)
        KeyRecord(connection, repository.project, name).forget_earlier("")
    return removed


def _names(repository: Repository) -> set[str]:
    return {view.name for view in repository.views}
