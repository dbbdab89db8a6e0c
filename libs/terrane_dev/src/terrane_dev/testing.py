"""Fixtures of real stores for every test suite: `pytest_plugins = ["terrane_dev.testing"]` in a conftest.

Servers start once a session, on free ports of loopback, in a folder that goes with the session; what a test gets is a
database, a Redis or a bucket that is empty and its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest

from terrane.names import BUCKETS
from terrane.object_store import ObjectStoreResource, s3_client
from terrane.object_store.buckets import ensure_buckets
from terrane.postgres import PostgresResource
from terrane_dev.servers import minio, postgres, redis
from terrane_dev.servers.accounts import server_account, server_folder
from terrane_dev.servers.process import free_port, start, stop, wait_until

START_TIMEOUT_S = 60
NO_POSTGRES = "no Postgres with PostGIS on this machine: `make setup` installs it"
NO_REDIS = "no redis-server on this machine: `make setup` installs it"
NO_MINIO = "no MinIO on PATH and no Go to build it with: S3 is not tested here"


@dataclass
class PostgresServer:
    """A running server; `stop()` and `start()` let a test take it away and bring it back on the same port."""

    installation: postgres.Installation
    data: Path
    log: Path
    port: int
    password: str

    def start(self) -> None:
        command = postgres.command(self.installation, self.data, self.port, fsync="off", full_page_writes="off")
        self._process = start(command, self.log, account=server_account())
        wait_until(
            lambda: postgres.answers(self.port, self.password), self._process, self.log, "Postgres", START_TIMEOUT_S
        )

    def stop(self) -> None:
        stop(self._process, signal.SIGINT)


@dataclass
class RedisServer:
    """A running server; `stop()` and `start()` let a test take it away and bring it back on the same port."""

    program: str
    data: Path
    log: Path
    port: int
    password: str

    def start(self) -> None:
        settings = redis.configuration(self.port, self.password, self.data)
        self._process = start(redis.command(self.program), self.log, account=server_account(), stdin=settings)
        wait_until(lambda: redis.answers(self.port, self.password), self._process, self.log, "Redis", START_TIMEOUT_S)

    def stop(self) -> None:
        stop(self._process)


@contextmanager
def temporary_server_folder(name: str) -> Iterator[Path]:
    """A folder for a server's data, outside pytest's own, which only the caller can enter."""
    folder = server_folder(Path(tempfile.gettempdir()) / f"terrane-{name}-{secrets.token_hex(4)}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    installation = postgres.find_installation()
    if installation is None or not installation.has_postgis:
        pytest.fail(NO_POSTGRES)
    with temporary_server_folder("postgres") as folder:
        password = secrets.token_hex(12)
        data = postgres.make_cluster(installation, folder / "data", password)
        server = PostgresServer(installation, data, folder / "postgres.log", free_port(), password)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def make_database(postgres_server: PostgresServer) -> Iterator[Callable[..., PostgresResource]]:
    """Makes an empty database, owned by a role of its own: `make_database("postgis")` names extensions."""
    made: list[str] = []

    def make(*extensions: str) -> PostgresResource:
        name, password = f"t_{secrets.token_hex(6)}", secrets.token_hex(8)
        postgres.ensure_role(postgres_server.port, postgres_server.password, name, password)
        postgres.ensure_database(postgres_server.port, postgres_server.password, name, name, extensions)
        made.append(name)
        return PostgresResource(
            host="127.0.0.1", port=str(postgres_server.port), user=name, password=password, database=name
        )

    yield make
    with postgres.administer(postgres_server.port, postgres_server.password) as connection:
        for name in made:
            connection.execute(f'drop database "{name}" with (force)'.encode())
            connection.execute(f'drop role "{name}"'.encode())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    program = redis.find_program()
    if program is None:
        pytest.fail(NO_REDIS)
    with temporary_server_folder("redis") as folder:
        server = RedisServer(program, folder, folder / "redis.log", free_port(), secrets.token_hex(12))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def folder_store(tmp_path: Path) -> ObjectStoreResource:
    """An object store in a folder, its buckets empty."""
    store = ObjectStoreResource(endpoint=(tmp_path / "objects").as_uri())
    for name in BUCKETS:
        store.bucket(name)
    return store


@pytest.fixture(scope="session")
def minio_server() -> Iterator[ObjectStoreResource]:
    """A MinIO server without buckets."""
    with temporary_server_folder("minio") as folder, running_minio(folder / "data", folder / "minio.log") as store:
        yield store


@contextmanager
def running_minio(data: Path, log: Path) -> Iterator[ObjectStoreResource]:
    """A MinIO server on the folder `data`, without buckets; skips the test where there is no MinIO to be had."""
    program = minio.find_program(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "terrane")
    if program is None:
        pytest.skip(NO_MINIO)
    port, password = free_port(), secrets.token_hex(12)
    data.mkdir(parents=True, exist_ok=True)
    process = start(minio.command(program, data, port), log, environment=minio.environment(password))
    wait_until(lambda: minio.answers(port), process, log, "MinIO", START_TIMEOUT_S)
    try:
        yield ObjectStoreResource(endpoint=f"127.0.0.1:{port}", access_key=minio.USER, secret_key=password)
    finally:
        stop(process)


@pytest.fixture
def s3_store(minio_server: ObjectStoreResource) -> Iterator[ObjectStoreResource]:
    """An object store on a real S3 server, its buckets empty."""
    buckets = ensure_buckets(minio_server)
    yield minio_server
    for name in buckets:
        bucket = minio_server.bucket(name)
        obstore.delete(bucket, [entry["path"] for page in obstore.list(bucket) for entry in page])
        s3_client(minio_server).delete_bucket(Bucket=name)


@pytest.fixture(params=["folder", "s3"])
def object_store(request: pytest.FixtureRequest) -> ObjectStoreResource:
    """The object store once as a folder and once as S3: a test that takes it runs twice."""
    return request.getfixturevalue(f"{request.param}_store")
