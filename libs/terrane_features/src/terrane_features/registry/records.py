"""Feast's records in its SQL registry in Postgres: which tables they lie in, and what of them is the definition."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from terrane import names
from terrane_features.online_store.format import members

if TYPE_CHECKING:
    import psycopg

Kind = Literal["entity", "view", "stream view", "on demand view", "label view", "service"]
# Without the search path of the URI, a table would be looked for in the role's own schema.
TABLES: dict[Kind, tuple[str, str]] = {
    "entity": ("entities", "entity"),
    "view": ("feature_views", "feature_view"),
    "stream view": ("stream_feature_views", "feature_view"),
    "on demand view": ("on_demand_feature_views", "feature_view"),
    "label view": ("label_views", "feature_view"),
    "service": ("feature_services", "feature_service"),
}
_OF = (
    "select '{kind}' as kind, {prefix}_name as name, {prefix}_proto as record from {table}"
    " where project_id = %(project)s"
)
VIEWS = ("view", "stream view")
# Numbers of members: a view's project, its batch and stream source, and of a source when it was made.
PROJECT, SOURCES, SOURCE_META = 2, (7, 9), 50
# Of the constants above alone.
RECORDS_SQL = " union all ".join(_OF.format(kind=k, prefix=p, table=t) for k, (t, p) in TABLES.items()).encode()


def definitions_digest(connection: psycopg.Connection, project: str) -> str:
    """Of what the registry holds of the project's definitions, without when they were made or materialised; empty
    where Feast has made no tables yet."""
    if connection.execute(names.current().sql("select to_regclass('{feast}.feature_services')")).fetchone() == (None,):
        return ""
    with connection.transaction():
        connection.execute(names.current().sql("set local search_path = {feast}"))
        found = connection.execute(RECORDS_SQL, {"project": project}).fetchall()
    digest = hashlib.sha256()
    for kind, name, record in sorted(found, key=lambda row: row[:2]):
        digest.update(f"{kind} {name} {definition_of(kind, bytes(record))}\n".encode())
    return digest.hexdigest()


def definition_of(kind: str, record: bytes) -> str:
    """The first member of a record, its specification; the others say when it was made and materialised.

    A materialisation writes a view anew, without its project and with another time in each of its sources.
    """
    found: list[tuple[int, object]] = []
    for spec in (part for number, part in members(record) if number == 1 and isinstance(part, bytes)):
        for number, content in members(spec):
            if kind in VIEWS and number == PROJECT:
                continue
            if kind in VIEWS and number in SOURCES and isinstance(content, bytes):
                found.append((number, [m for m in members(content) if m[0] != SOURCE_META]))
            else:
                found.append((number, content))
    # The order of a map's entries is left to chance.
    return repr(sorted(found, key=repr))
