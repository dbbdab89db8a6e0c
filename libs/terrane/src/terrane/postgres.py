"""A database of Postgres, as a resource: where it is and who asks, and connections to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

import dagster as dg

from terrane.store_advice import postgres_advice

if TYPE_CHECKING:
    import psycopg

# What COPY takes and gives is UTF-8 to whoever writes and reads it, whatever the database is kept in.
ENCODING = "UTF8"
CONNECT_TIMEOUT_S = 5


class PostgresResource(dg.ConfigurableResource):
    """Connects to one database.

    Attributes:
        host, port, user, password, database: of the connection.
        sslmode: as libpq's; empty leaves it to PGSSLMODE, and without that to libpq, whose own is `prefer`: it suits a
            server in the same cluster, and `verify-full` a managed one.
        sslrootcert: file with the authority of the server's certificate, in PEM; empty leaves it to libpq, likewise.
        variables: what the variables begin with that it was made from, for messages; empty where it was not.
    """

    host: str
    port: str
    user: str
    password: str
    database: str
    sslmode: str = ""
    sslrootcert: str = ""
    variables: str = ""

    @classmethod
    def from_env(cls, prefix: str, database: str = "DB") -> Self:
        """The resource that reads `<prefix>_{HOST,PORT,USER,PASSWORD}` and `<prefix>_<database>` when a run starts.

        `<prefix>_SSLMODE` and `<prefix>_SSLROOTCERT`, which nobody has to set, are read now.
        """
        return cls(
            host=dg.EnvVar(f"{prefix}_HOST"),
            port=dg.EnvVar(f"{prefix}_PORT"),
            user=dg.EnvVar(f"{prefix}_USER"),
            password=dg.EnvVar(f"{prefix}_PASSWORD"),
            database=dg.EnvVar(f"{prefix}_{database}"),
            **_of_tls(prefix),
        )

    @classmethod
    def from_process(cls, prefix: str) -> PostgresResource:
        """The resource with the values of those variables now. Raises KeyError for one that is not set."""
        names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "database": "DB"}
        return cls(**{name: os.environ[f"{prefix}_{variable}"] for name, variable in names.items()}, **_of_tls(prefix))

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection:
        """A new connection; used as a context manager it commits, or rolls back on an exception, and closes.

        Raises psycopg.OperationalError, with host and port in its message, when the server cannot be reached, and with
        the variables to look at when it was reached and refuses.
        """
        import psycopg

        try:
            return psycopg.connect(
                host=self.host,
                port=int(self.port),
                user=self.user,
                password=self.password,
                dbname=self.database,
                autocommit=autocommit,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name="terrane",
                client_encoding=ENCODING,
                keepalives_idle=30,
                **self._tls(),
            )
        except psycopg.OperationalError as error:
            advice = postgres_advice(str(error), self.variables)
            if not advice:
                raise
            reason = " ".join(str(error).split())
            raise psycopg.OperationalError(f"{reason}; see {advice}") from error

    def uri(self) -> str:
        """The connection as a URI, password included: for a driver that takes nothing else, never for a log."""
        user, password = quote(self.user, safe=""), quote(self.password, safe="")
        address = f"postgresql://{user}:{password}@{self.host}:{self.port}/{quote(self.database)}"
        options = {"client_encoding": ENCODING, **self._tls()}
        return f"{address}?{urlencode(options, quote_via=quote)}"

    def _tls(self) -> dict[str, Any]:
        """libpq's settings of TLS, without those that are left to it."""
        given = {"sslmode": self.sslmode, "sslrootcert": self.sslrootcert}
        return {name: value for name, value in given.items() if value}


def _of_tls(prefix: str) -> dict[str, str]:
    named = {"sslmode": "SSLMODE", "sslrootcert": "SSLROOTCERT"}
    return {"variables": prefix, **{field: os.environ.get(f"{prefix}_{name}", "") for field, name in named.items()}}
