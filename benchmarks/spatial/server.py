"""The one PostGIS that every contender uses: the product's own settings for a single machine, on a port of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terrane.postgres import PostgresResource
from terrane_dev.servers import postgres
from terrane_dev.servers.accounts import server_account, server_folder
from terrane_dev.servers.process import free_port, start, stop, wait_until

NAME = "bench"
START_TIMEOUT_S = 60


@contextmanager
def running() -> Iterator[PostgresResource]:
    """A database with PostGIS whose owner the resource is; server and files go at the end."""
    installation = postgres.find_installation()
    if installation is None or not installation.has_postgis:
        raise SystemExit("no Postgres with PostGIS on this machine: `make setup` installs it")
    folder = server_folder(Path(tempfile.mkdtemp(prefix="terrane-bench-")))
    superuser, password, port = secrets.token_hex(12), secrets.token_hex(12), free_port()
    log = folder / "postgres.log"
    try:
        data = postgres.make_cluster(installation, folder / "data", superuser)
        process = start(postgres.command(installation, data, port), log, account=server_account())
        try:
            wait_until(lambda: postgres.answers(port, superuser), process, log, "Postgres", START_TIMEOUT_S)
            postgres.ensure_role(port, superuser, NAME, password)
            postgres.ensure_database(port, superuser, NAME, NAME, ["postgis"])
            with postgres.administer(port, superuser) as connection:
                connection.execute(f"grant pg_checkpoint to {NAME}".encode())
            yield PostgresResource(host="127.0.0.1", port=str(port), user=NAME, password=password, database=NAME)
        finally:
            stop(process, signal.SIGINT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settle(server: PostgresResource) -> None:
    """Writes out what earlier contenders left in the server's memory and the system's: none pays for another."""
    with server.connect(autocommit=True) as connection:
        connection.execute("checkpoint")
    os.sync()


def drop(server: PostgresResource, *tables: str) -> None:
    with server.connect(autocommit=True) as connection:
        for table in tables:
            connection.execute(f'drop table if exists "{table}"'.encode())


def cpu_s(server: PostgresResource) -> float:
    """CPU seconds of all processes of the server until now, of those that have ended too (proc_pid_stat(5))."""
    with server.connect() as connection:
        (backend,) = connection.execute("select pg_backend_pid()").fetchone() or (0,)
        first = int(_stat(backend)[1])
    living = [pid.name for pid in Path("/proc").glob("[0-9]*") if _parent(pid.name) == first]
    spent = sum(sum(map(int, _stat(pid)[11:13])) for pid in living) + sum(map(int, _stat(first)[11:15]))
    return spent / os.sysconf("SC_CLK_TCK")


def _stat(pid: int | str) -> list[str]:
    """What the system says of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid: str) -> int:
    try:
        return int(_stat(pid)[1])
    except OSError:
        return 0
