"""dbt's sessions in the warehouse: named by the invocation, and ended when its process was killed.

A server that is in the middle of a statement does not notice that its client is gone: a session whose dbt was killed
would go on, and hold its locks against the next attempt, until the statement is done.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from terrane.errors import database_errors
from terrane.postgres import PostgresResource

# What profiles.yml takes for `application_name`; a profile that does not has sessions that nobody ends.
VARIABLE = "TERRANE_DBT_SESSION"


@contextmanager
def named_session() -> Iterator[str]:
    """The name that sessions of a dbt have which is started inside, by the environment that it inherits."""
    before, name = os.environ.get(VARIABLE), f"dbt {uuid.uuid4().hex}"
    os.environ[VARIABLE] = name
    try:
        yield name
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def end_sessions(warehouse: PostgresResource, name: str) -> int:
    """Ends the sessions of that name, once the server has rolled them back or five seconds have passed.

    Returns how many there were. Raises Temporary when the warehouse is away.
    """
    query = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = %s"
    with database_errors(warehouse, "ending the sessions of a dbt that was killed"), warehouse.connect() as connection:
        return len(connection.execute(query, [name]).fetchall())
