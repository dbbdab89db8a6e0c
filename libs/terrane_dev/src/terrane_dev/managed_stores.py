"""Fixtures of stores as a provider runs them: with TLS by an authority that no system knows, and users with few rights.

`pytest_plugins = ["terrane_dev.testing", "terrane_dev.managed_stores"]` in a conftest. Each server starts once a
session; they listen on loopback and answer to the name `localhost`.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from terrane.object_store import COMPUTE_LOGS, DATA_LAKE, LANDING_ZONE, ObjectStoreResource, s3_client
from terrane_dev.servers import minio, postgres, redis
from terrane_dev.servers.accounts import server_account
from terrane_dev.servers.certificates import Authority, as_minio_wants, make_authority
from terrane_dev.servers.process import free_port, start, stop, wait_until
from terrane_dev.testing import NO_MINIO, NO_POSTGRES, NO_REDIS, START_TIMEOUT_S, temporary_server_folder

OWNER = "warehouse"
# A user of Redis who may use data, and none of its administration; INFO is what tells how full it is.
REDIS_USER = "terrane"
REDIS_RULES = "~* &* +@all -@admin -@dangerous +info +client"
S3_USER = "platform"
# Names as they are on a store that everybody shares.
BUCKETS = {LANDING_ZONE: "example-landing-zone", DATA_LAKE: "example-data-lake"}


@dataclass(frozen=True)
class ManagedPostgres:
    """A server that takes encrypted connections alone, with a database `warehouse` of the role of that name."""

    port: int
    password: str
    authority: Authority

    def variables(self, prefix: str = "WAREHOUSE") -> dict[str, str]:
        """What a client is told: checked by the authority, name included."""
        settings = {"HOST": "localhost", "PORT": str(self.port), "USER": OWNER, "PASSWORD": self.password, "DB": OWNER}
        settings |= {"SSLMODE": "verify-full", "SSLROOTCERT": str(self.authority.certificate)}
        return {f"{prefix}_{name}": value for name, value in settings.items()}


@dataclass(frozen=True)
class ManagedRedis:
    """A server that takes encrypted connections alone, and lets in the user `terrane` and nobody else."""

    port: int
    password: str
    authority: Authority

    def variables(self) -> dict[str, str]:
        """What a client is told."""
        settings = {"HOST": "localhost", "PORT": str(self.port), "DB": "0", "USERNAME": REDIS_USER}
        settings |= {"PASSWORD": self.password, "TLS": "true", "CA_FILE": str(self.authority.certificate)}
        return {f"REDIS_{name}": value for name, value in settings.items()}


@dataclass(frozen=True)
class ManagedS3:
    """A store with TLS, with two buckets that its user may use, and a third that is somebody else's."""

    port: int
    password: str
    authority: Authority
    root: ObjectStoreResource

    def variables(self) -> dict[str, str]:
        """What a client is told."""
        return {
            "MINIO_ENDPOINT": f"https://localhost:{self.port}",
            "MINIO_ROOT_USER": S3_USER,
            "MINIO_ROOT_PASSWORD": self.password,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CA_BUNDLE": str(self.authority.certificate),
            "LANDING_ZONE_BUCKET": BUCKETS[LANDING_ZONE],
            "DATA_LAKE_BUCKET": BUCKETS[DATA_LAKE],
            "COMPUTE_LOGS_BUCKET": BUCKETS[DATA_LAKE],
            "S3_PREFIX": "one/team",
        }


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    with temporary_server_folder("authority") as folder:
        yield make_authority(folder)


@pytest.fixture(scope="session")
def managed_postgres(authority: Authority) -> Iterator[ManagedPostgres]:
    installation = postgres.find_installation()
    if installation is None or not installation.has_postgis:
        pytest.fail(NO_POSTGRES)
    with temporary_server_folder("managed-postgres") as folder:
        superuser, port, log = secrets.token_hex(12), free_port(), folder / "postgres.log"
        data = postgres.make_cluster(installation, folder / "data", superuser)
        rules = data / "pg_hba.conf"
        # The superuser of the tests comes unencrypted, and nobody else does.
        rules.write_text(
            f"host all {postgres.SUPERUSER} 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        secured = {"ssl": "on", "ssl_cert_file": authority.server_certificate, "ssl_key_file": authority.server_key}
        settings = {name: str(value) for name, value in secured.items()} | {"fsync": "off"}
        process = start(postgres.command(installation, data, port, **settings), log, account=server_account())
        wait_until(lambda: postgres.answers(port, superuser), process, log, "Postgres", START_TIMEOUT_S)
        server = ManagedPostgres(port, secrets.token_hex(12), authority)
        postgres.ensure_role(port, superuser, OWNER, server.password)
        postgres.ensure_database(port, superuser, OWNER, OWNER, ["postgis"])
        yield server
        stop(process, signal.SIGINT)


@pytest.fixture(scope="session")
def managed_redis(authority: Authority) -> Iterator[ManagedRedis]:
    program = redis.find_program()
    if program is None:
        pytest.fail(NO_REDIS)
    with temporary_server_folder("managed-redis") as folder:
        server, log = ManagedRedis(free_port(), secrets.token_hex(12), authority), folder / "redis.log"
        lines = ["bind 127.0.0.1", "port 0", f"tls-port {server.port}", "tls-auth-clients no", f"dir {folder}"]
        lines += [f"tls-cert-file {authority.server_certificate}", f"tls-key-file {authority.server_key}"]
        lines += [f"tls-ca-cert-file {authority.certificate}", 'save ""', "databases 64"]
        lines += ["user default off", f"user {REDIS_USER} on >{server.password} {REDIS_RULES}", ""]
        process = start(redis.command(program), log, account=server_account(), stdin="\n".join(lines))
        wait_until(lambda: redis.answers_tls(server.port, authority), process, log, "Redis", START_TIMEOUT_S)
        yield server
        stop(process)


@pytest.fixture(scope="session")
def managed_s3(authority: Authority) -> Iterator[ManagedS3]:
    program = minio.find_program(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "terrane")
    if program is None:
        pytest.skip(NO_MINIO)
    with temporary_server_folder("managed-s3") as folder:
        port, password, log, data = free_port(), secrets.token_hex(12), folder / "minio.log", folder / "data"
        data.mkdir()
        command = minio.command(program, data, port, as_minio_wants(authority, folder / "certificates"))
        process = start(command, log, environment=minio.environment(password))
        wait_until(lambda: minio.answers(port, authority.certificate), process, log, "MinIO", START_TIMEOUT_S)
        root = ObjectStoreResource(
            endpoint=f"https://localhost:{port}",
            access_key=minio.USER,
            secret_key=password,
            ca_file=str(authority.certificate),
        )
        for name in (*BUCKETS.values(), COMPUTE_LOGS):
            s3_client(root).create_bucket(Bucket=name)
        server = ManagedS3(port, secrets.token_hex(12), authority, root)
        user, allowed = (S3_USER, server.password), minio.policy(BUCKETS.values())
        minio.make_user(root.url(), password, authority.certificate, user, allowed)
        yield server
        stop(process)
