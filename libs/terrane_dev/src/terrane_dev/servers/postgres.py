"""A Postgres server with PostGIS: finding one on this machine, making a cluster, starting it, and its databases."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from terrane_dev.servers.accounts import run_as, server_account, server_folder

SUPERUSER = "postgres"
SEARCH = (
    "/usr/lib/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/pgsql-*/bin",
)
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass(frozen=True)
class Installation:
    """Postgres' programs, of one version. `has_postgis` says whether that version can `CREATE EXTENSION postgis`."""

    programs: Path
    has_postgis: bool

    @property
    def version(self) -> int:
        text = subprocess.run(
            [self.programs / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        match = re.search(r"\d+", text)
        return int(match[0]) if match else 0


def find_installation() -> Installation | None:
    """The newest Postgres with PostGIS, else the newest Postgres, else None."""
    folders = {match.resolve() for pattern in SEARCH for match in Path("/").glob(pattern.lstrip("/"))}
    if on_path := shutil.which("postgres"):
        folders.add(Path(on_path).resolve().parent)
    found = [Installation(f, _has_postgis(f)) for f in folders if (f / "postgres").exists() and (f / "initdb").exists()]
    return max(found, key=lambda i: (i.has_postgis, i.version), default=None)


def make_cluster(installation: Installation, data: Path, password: str) -> Path:
    """Makes an empty cluster in `data`, unless there is one; returns the folder it is really in.

    Its superuser `postgres` has the password; every connection is by password.
    """
    data = server_folder(data)
    if (data / "PG_VERSION").exists():
        return data
    account = server_account()
    with tempfile.NamedTemporaryFile("w", prefix="terrane-", suffix=".pw") as secret:
        secret.write(password)
        secret.flush()
        if account:
            account.own(Path(secret.name))
        arguments = ["-D", data, "-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={secret.name}"]
        done = subprocess.run(
            [installation.programs / "initdb", *arguments, "--encoding=UTF8", "--locale=C", "--no-sync"],
            capture_output=True,
            text=True,
            cwd="/",
            **run_as(account),
        )
    if done.returncode:
        raise RuntimeError(f"initdb could not make a cluster in {data}: {done.stderr.strip()}")
    return data


def command(installation: Installation, data: Path, port: int, **settings: str) -> list[str]:
    """The command line of the server; settings override the ones above."""
    options = [f"{name}={value}" for name, value in {**SETTINGS, **settings}.items()]
    return [
        str(installation.programs / "postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        *(a for o in options for a in ("-c", o)),
    ]


def answers(port: int, password: str) -> bool:
    """Whether the server takes connections."""
    import psycopg

    try:
        administer(port, password).close()
    except psycopg.OperationalError:
        return False
    return True


def administer(port: int, password: str, database: str = "postgres"):
    """A superuser's autocommit connection."""
    import psycopg

    return psycopg.connect(
        host="127.0.0.1",
        port=port,
        user=SUPERUSER,
        password=password,
        dbname=database,
        autocommit=True,
        connect_timeout=2,
    )


def ensure_role(port: int, superuser_password: str, role: str, password: str) -> None:
    """A login role with that password and no rights beyond what it owns."""
    from psycopg import sql

    with administer(port, superuser_password) as connection:
        exists = connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
        verb = "alter" if exists else "create"
        connection.execute(
            sql.SQL(f"{verb} role {{}} login password {{}}").format(sql.Identifier(role), sql.Literal(password))
        )


def ensure_database(
    port: int, superuser_password: str, database: str, owner: str, extensions: Iterable[str] = ()
) -> None:
    """A database that only its owner can connect to, with the extensions."""
    from psycopg import sql

    name = sql.Identifier(database)
    with administer(port, superuser_password) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", [database]).fetchone():
            connection.execute(sql.SQL("create database {} owner {}").format(name, sql.Identifier(owner)))
            connection.execute(sql.SQL("revoke all on database {} from public").format(name))
    with administer(port, superuser_password, database) as connection:
        for extension in extensions:
            connection.execute(sql.SQL("create extension if not exists {}").format(sql.Identifier(extension)))


def _has_postgis(programs: Path) -> bool:
    config = programs / "pg_config"
    if config.exists():
        done = subprocess.run([config, "--sharedir"], capture_output=True, text=True)
        if done.returncode == 0 and (Path(done.stdout.strip()) / "extension/postgis.control").exists():
            return True
    # Debian's programs come without pg_config, and its files are beside the version's folder.
    return (Path("/usr/share/postgresql") / programs.parent.name / "extension/postgis.control").exists()
