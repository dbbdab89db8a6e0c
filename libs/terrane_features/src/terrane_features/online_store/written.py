"""What was written online of each view, kept in the warehouse: Redis holds hashes of names, which name nothing.

A feature that leaves a view, join keys that change, and a view that is deleted leave values behind; this says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from terrane import names

if TYPE_CHECKING:
    import psycopg

    from terrane_features.repository.model import FeatureView

ADD_SQL = """
    insert into {feast}.online_views (project, view, join_keys, fields) values (%s, %s, %s, %s)
    on conflict (project, view, join_keys) do update set fields = array(
        select distinct unnest(online_views.fields || excluded.fields) order by 1
    )
"""


@dataclass(frozen=True)
class Written:
    """Fields of a view that may be in Redis, under keys made of these join keys (sorted)."""

    view: str
    join_keys: tuple[str, ...]
    fields: tuple[str, ...]

    @classmethod
    def of(cls, view: FeatureView) -> Written:
        """What a run writes of a view as it is declared now."""
        return cls(view.name, tuple(sorted(view.key_names)), tuple(feature.name for feature in view.features))


def written_views(connection: psycopg.Connection, project: str, name: str | None = None) -> list[Written]:
    """Everything that was ever written and not removed, of one view or of all."""
    sql = "select view, join_keys, fields from {feast}.online_views where project = %s and view = coalesce(%s, view)"
    return [
        Written(view, tuple(keys), tuple(fields))
        for view, keys, fields in connection.execute(names.current().sql(sql), [project, name])
    ]


def remember(connection: psycopg.Connection, project: str, written: Written) -> None:
    """Adds the fields to what was written before; to be called before they are."""
    connection.execute(
        names.current().sql(ADD_SQL), [project, written.view, list(written.join_keys), list(written.fields)]
    )


def replace(
    connection: psycopg.Connection, project: str, name: str, written: Written | None, samples: Sequence[bytes] = ()
) -> None:
    """Forgets whatever was written of the view but this; to be called once the rest is removed.

    Args:
        samples: some of the keys that were written, by which a server sees whether the store still has them.
    """
    with connection.transaction():
        sql = names.current().sql
        connection.execute(sql("delete from {feast}.online_views where project = %s and view = %s"), [project, name])
        if written:
            remember(connection, project, written)
            given = [list(samples), project, name]
            connection.execute(
                sql("update {feast}.online_views set samples = %s where project = %s and view = %s"), given
            )
