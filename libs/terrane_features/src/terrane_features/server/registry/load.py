"""Reading Feast's SQL registry in Postgres: one snapshot, while nobody applies, and only when something changed."""

from __future__ import annotations

from terrane_features.registry.lock import lock_name
from terrane_features.server.registry.catalog import Catalog, Kind, read_catalog

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 10_000
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
# Of the constants above alone.
RECORDS_SQL = " union all ".join(_OF.format(kind=k, prefix=p, table=t) for k, (t, p) in TABLES.items()).encode()
DIGEST_SQL = (
    b"select md5(coalesce(string_agg(kind || name || encode(sha256(record), 'hex'), ',' order by kind, name), ''))"
    b" from (" + RECORDS_SQL + b") records"
)


class NotApplied(LookupError):
    """Nobody has applied any definitions yet."""


class BeingWritten(RuntimeError):
    """Somebody applies or materialises now; a copy made meanwhile would hold views without their entities."""


def read_if_changed(
    uri: str, project: str, known: str | None, *, serve_while_materializing: bool
) -> tuple[str, Catalog | None]:
    """The digest of the project's records, and their catalog unless the digest is the `known` one.

    Raises NotApplied, BeingWritten, ValueError for a record that cannot be read, and psycopg.Error.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    limit = f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
    given = conninfo_to_dict(uri).get("options")
    options = f"{given} {limit}" if given else limit
    with psycopg.connect(
        uri, autocommit=True, application_name="feature-server", options=options, connect_timeout=CONNECT_TIMEOUT_S
    ) as connection:
        asked = "select pg_try_advisory_lock_shared(hashtextextended(%s, 0))"
        if connection.execute(asked, [lock_name(project)]).fetchone() != (True,):
            raise BeingWritten
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            if connection.execute("select to_regclass('feature_services')").fetchone() == (None,):
                raise NotApplied
            row = connection.execute(DIGEST_SQL, {"project": project}).fetchone()
            digest = str(row and row[0])
            if digest == known:
                return digest, None
            found = connection.execute(RECORDS_SQL, {"project": project}).fetchall()
    return digest, read_catalog(
        project, [(kind, bytes(record)) for kind, _, record in found], serve_while_materializing
    )
