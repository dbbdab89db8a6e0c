"""Reading Feast's SQL registry in Postgres: one snapshot, while nobody applies, and only when something changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from terrane import names
from terrane_features.registry.lock import lock_name
from terrane_features.registry.records import RECORDS_SQL
from terrane_features.server.registry.catalog import Catalog, read_catalog

if TYPE_CHECKING:
    import psycopg

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 10_000
DIGEST_SQL = (
    b"select md5(coalesce(string_agg(kind || name || encode(sha256(record), 'hex'), ',' order by kind, name), ''))"
    b" from (" + RECORDS_SQL + b") records"
)


SAMPLES_SQL = "select view, samples from {feast}.online_views where project = %(project)s"


class NotApplied(LookupError):
    """Nobody has applied any definitions yet."""


class BeingWritten(RuntimeError):
    """Somebody applies now; a copy made meanwhile may hold views without their entities."""


@dataclass(frozen=True)
class Read:
    """What was read.

    Attributes:
        catalog: None where the digest is the known one.
        samples: some keys of the rows that were last written, by view.
    """

    digest: str
    catalog: Catalog | None
    samples: Mapping[str, tuple[bytes, ...]]


def read_if_changed(uri: str, project: str, known: str | None, *, serve_while_materializing: bool) -> Read:
    """The digest of the project's records, their catalog unless the digest is the `known` one, and samples of rows.

    A server that knows nothing yet takes what is there: one snapshot, in which at worst a view waits for its entity and
    is not served until the next look. One that serves already waits for a writer to end.

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
        if connection.execute(asked, [lock_name(project)]).fetchone() != (True,) and known is not None:
            raise BeingWritten
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            if connection.execute("select to_regclass('feature_services')").fetchone() == (None,):
                raise NotApplied
            row = connection.execute(DIGEST_SQL, {"project": project}).fetchone()
            digest, samples = str(row and row[0]), _samples(connection, project)
            if digest == known:
                return Read(digest, None, samples)
            found = connection.execute(RECORDS_SQL, {"project": project}).fetchall()
    records = [(kind, bytes(record)) for kind, _, record in found]
    return Read(digest, read_catalog(project, records, serve_while_materializing), samples)


def _samples(connection: psycopg.Connection, project: str) -> dict[str, tuple[bytes, ...]]:
    """Keys that runs left, by view; none where there are no such runs, or the server's role may not know."""
    import psycopg

    found: dict[str, tuple[bytes, ...]] = {}
    try:
        with connection.transaction():
            for view, keys in connection.execute(names.current().sql(SAMPLES_SQL), {"project": project}):
                found[view] = (*found.get(view, ()), *(bytes(key) for key in keys))
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege):
        return {}
    return found
