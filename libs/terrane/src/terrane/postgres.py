"""A database of Postgres, as a resource: where it is and who asks, and connections to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import dagster as dg

if TYPE_CHECKING:
    import psycopg

CONNECT_TIMEOUT_S = 5


class PostgresResource(dg.ConfigurableResource):
    """Connects to one database.

    Attributes:
        host, port, user, password, database: of the connection.
        sslmode: as libpq's; `prefer` suits a server in the same cluster, `verify-full` a managed one.
    """

    host: str
    port: str
    user: str
    password: str
    database: str
    sslmode: str = "prefer"

    @classmethod
    def from_env(cls, prefix: str, database: str = "DB") -> Self:
        """The resource that reads `<prefix>_{HOST,PORT,USER,PASSWORD}` and `<prefix>_<database>` when a run starts."""
        return cls(
            host=dg.EnvVar(f"{prefix}_HOST"),
            port=dg.EnvVar(f"{prefix}_PORT"),
            user=dg.EnvVar(f"{prefix}_USER"),
            password=dg.EnvVar(f"{prefix}_PASSWORD"),
            database=dg.EnvVar(f"{prefix}_{database}"),
        )

    @classmethod
    def from_process(cls, prefix: str) -> PostgresResource:
        """The resource with the values of those variables now. Raises KeyError for one that is not set."""
        names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "database": "DB"}
        return cls(**{name: os.environ[f"{prefix}_{variable}"] for name, variable in names.items()})

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection:
        """A new connection; used as a context manager it commits, or rolls back on an exception, and closes.

        Raises psycopg.OperationalError, with host and port in its message, when the server cannot be reached.
        """
        import psycopg

        return psycopg.connect(
            host=self.host,
            port=int(self.port),
            user=self.user,
            password=self.password,
            dbname=self.database,
            sslmode=self.sslmode,
            autocommit=autocommit,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="terrane",
            keepalives_idle=30,
        )

    def uri(self) -> str:
        """The connection as a URI, password included: for a driver that takes nothing else, never for a log."""
        user, password = quote(self.user, safe=""), quote(self.password, safe="")
        return f"postgresql://{user}:{password}@{self.host}:{self.port}/{quote(self.database)}?sslmode={self.sslmode}"
