"""The scripts and command lines of the stores' charts on real servers, with other folders and ports."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.charts.rendering import Command, Object, Render, template

from terrane_dev.servers import minio
from terrane_dev.servers import postgres as servers
from terrane_dev.servers.accounts import run_as, server_account
from terrane_dev.servers.process import free_port, start, stop, wait_until
from terrane_dev.testing import NO_POSTGRES, PostgresServer, temporary_server_folder

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(not shutil.which("getent"), reason="no getent on this machine, as in the stores' images"),
]

ROLES = {
    "maps": {"passwordKey": "maps", "databases": {"maps": ["pg_trgm"], "maps_archive": []}},
    "shop": {"passwordKey": "shop", "databases": {"shop": []}},
}
SUPERUSER, MAPS, SHOP = "superuser'1", 'maps"1', "shop 1"


@dataclass
class Certificate:
    """A server's certificate for `localhost`, which is its own authority."""

    folder: Path

    @property
    def authority(self) -> str:
        return str(self.folder / "ca.crt")


@dataclass(frozen=True)
class Provisioning:
    """A run of provision.sh."""

    code: int
    output: str


def rendered(chart: Path, values: Mapping[str, Any], folder: Path) -> Render:
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(dict(values)))
    return template(Command(chart, (file,), release="one"))


def file_of(render: Render, name: str) -> str:
    """A file of a store's ConfigMap."""
    (found,) = [o["data"] for o in render.of("ConfigMap")]
    return found[name]


def pod_of(render: Render) -> Object:
    (found,) = [o["spec"]["template"]["spec"] for o in render.of("StatefulSet")]
    return found


@pytest.fixture(scope="module")
def certificate() -> Iterator[Certificate]:
    with temporary_server_folder("tls") as folder:
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
        files = ["-keyout", folder / "tls.key", "-out", folder / "tls.crt"]
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        subprocess.run([*command, *subject, *files], check=True, capture_output=True)
        shutil.copy(folder / "tls.crt", folder / "ca.crt")
        (folder / "tls.key").chmod(0o600)
        if account := server_account():
            for file in folder.iterdir():
                account.own(file)
        yield Certificate(folder)


# Redis


@pytest.fixture
def redis_folder() -> Iterator[Path]:
    with temporary_server_folder("redis") as folder:
        yield folder


def start_redis(store: Render, folder: Path, tls: Path | None = None, **passwords: str) -> subprocess.Popen[bytes]:
    for name in ("redis.conf", "start.sh"):
        text = file_of(store, name).replace("dir /data", f"dir {folder}")
        (folder / name).write_text(text.replace("/tls/", f"{tls}/") if tls else text)
    run_folder = folder / "run"
    run_folder.mkdir(exist_ok=True)
    if account := server_account():
        account.own(run_folder)
    environment = {"PATH": os.environ["PATH"], "RUN": str(run_folder), **passwords}
    command = ["sh", str(folder / "start.sh")]
    return start(command, folder / "log", account=server_account(), environment=environment)


def client_of(**options: Any) -> redis.Redis:
    return redis.Redis(**options, retry=Retry(NoBackoff(), 0))


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_redis_hears_its_signal_and_keeps_what_was_written(
    own_charts: Path, redis_folder: Path, tmp_path: Path
) -> None:
    port = free_port()
    store = rendered(own_charts / "redis", {"settings": {"port": port}}, tmp_path)
    client = client_of(port=port, password="secret 1")
    for kept in (None, b"1"):
        process = start_redis(store, redis_folder, REDIS_PASSWORD="secret 1")
        wait_until(lambda: answers(client), process, redis_folder / "log", "Redis", 10)
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert shown.startswith(b"redis-server")
        assert b"secret" not in shown
        assert client.get("key") == kept
        client.set("key", "1")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5
        client.close()
    assert "bye bye" in (redis_folder / "log").read_text()


def test_redis_lets_nobody_in_without_its_password(own_charts: Path, redis_folder: Path, tmp_path: Path) -> None:
    port = free_port()
    store = rendered(own_charts / "redis", {"settings": {"port": port}}, tmp_path)
    process = start_redis(store, redis_folder, REDIS_PASSWORD="secret")
    try:
        wait_until(lambda: answers(client_of(port=port, password="secret")), process, redis_folder / "log", "Redis", 10)
        for wrong in (None, "another"):
            with pytest.raises(redis.RedisError, match="already authenticated|invalid username-password"):
                client_of(port=port, password=wrong).get("key")
    finally:
        stop(process)


def test_redis_with_tls_takes_encrypted_connections_alone_and_its_users_have_their_rights(
    own_charts: Path, redis_folder: Path, tmp_path: Path, certificate: Certificate
) -> None:
    port = free_port()
    values = {
        "tls": {"enabled": True, "secretName": "certificate"},
        "settings": {"tls-port": port},
        "auth": {"users": {"reader": {"passwordKey": "reader", "rules": "~feature:* +@read +ping"}}},
    }
    store = rendered(own_charts / "redis", values, tmp_path)
    passwords = {"REDIS_PASSWORD": "secret", "PASSWORD_OF_READER": "reads"}
    process = start_redis(store, redis_folder, certificate.folder, **passwords)
    secured = {"host": "localhost", "port": port, "ssl": True, "ssl_ca_certs": certificate.authority}
    try:
        owner = client_of(**secured, password="secret")
        wait_until(lambda: answers(owner), process, redis_folder / "log", "Redis", 10)
        owner.set("feature:1", "a")
        owner.set("queue", "b")
        reader = client_of(**secured, username="reader", password="reads")
        assert reader.get("feature:1") == b"a"
        for forbidden in (lambda: reader.get("queue"), lambda: reader.set("feature:1", "c"), reader.flushall):
            with pytest.raises(redis.ResponseError, match="NOPERM|no permissions|has no permission"):
                forbidden()
        with pytest.raises(redis.ConnectionError):
            client_of(port=port, password="secret").ping()
        probe = pod_of(store)["containers"][0]["readinessProbe"]["exec"]["command"][-1]
        asked = probe.replace("redis-cli ", f"redis-cli -p {port} ")
        assert subprocess.run(["sh", "-c", asked], env={**os.environ, **passwords}).returncode == 0
        assert subprocess.run(["sh", "-c", asked], env={**os.environ, "REDIS_PASSWORD": "no"}).returncode != 0
    finally:
        stop(process)


# MinIO


def test_minio_ends_at_its_signal(own_charts: Path, tmp_path: Path) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "terrane"
    if (program := minio.find_program(cache)) is None:
        pytest.skip("no MinIO on PATH and no Go to build it with")
    (container,) = pod_of(rendered(own_charts / "minio", {}, tmp_path))["containers"]
    # The image's program is process number 1 itself.
    assert "command" not in container
    port = free_port()
    words = [
        w.replace(":9000", f"127.0.0.1:{port}").replace("/data", str(tmp_path / "data")) for w in container["args"]
    ]
    process = start([str(program), *words], tmp_path / "log", environment=minio.environment("a-long-password"))
    wait_until(lambda: minio.answers(port), process, tmp_path / "log", "MinIO", 30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


# Postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of these tests' own, which they stop and start."""
    installation = servers.find_installation()
    if installation is None:
        pytest.fail(NO_POSTGRES)
    with temporary_server_folder("postgres") as folder:
        data = servers.make_cluster(installation, folder / "data", SUPERUSER)
        server = PostgresServer(installation, data, folder / "log", free_port(), SUPERUSER)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def provisioned(own_charts: Path, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Provisioning:
    return provision(own_charts, postgres, ROLES, tmp_path_factory.mktemp("provisioning"))


def provision(
    charts: Path, server: PostgresServer, roles: Mapping[str, Any], folder: Path, **variables: str
) -> Provisioning:
    store = rendered(charts / "postgres", {"roles": dict(roles)}, folder)
    for name in ("provision.sh", "provision.sql"):
        (folder / name).write_text(file_of(store, name))
    # Nothing is waited for here.
    (folder / "sleep").write_text("#!/bin/sh\n")
    (folder / "sleep").chmod(0o755)
    environment = {
        "PATH": os.pathsep.join([str(folder), str(server.installation.programs), os.environ["PATH"]]),
        "PGHOST": "localhost",
        "PGPORT": str(server.port),
        "SERVER": "127.0.0.1",
        "PATIENCE_S": "10",
        "PGPASSWORD": SUPERUSER,
        "PASSWORD_OF_MAPS": MAPS,
        "PASSWORD_OF_SHOP": SHOP,
        **variables,
    }
    done = subprocess.run(
        ["sh", str(folder / "provision.sh")], env=environment, capture_output=True, text=True, timeout=60
    )
    return Provisioning(done.returncode, done.stdout + done.stderr)


def connect(server: PostgresServer, role: str, password: str, database: str, **options: Any) -> psycopg.Connection:
    where = {"host": "127.0.0.1", "port": server.port, "dbname": database, "user": role, "password": password}
    return psycopg.connect(autocommit=True, **{**where, **options})


def test_roles_databases_and_extensions_are_made(provisioned: Provisioning, postgres: PostgresServer) -> None:
    assert provisioned.code == 0, provisioned.output
    for role, password, databases in (("maps", MAPS, ("maps", "maps_archive")), ("shop", SHOP, ("shop",))):
        for database in databases:
            with connect(postgres, role, password, database) as connection:
                connection.execute("create schema its_own")
    with connect(postgres, "maps", MAPS, "maps") as connection:
        assert connection.execute("select similarity('gneiss', 'gneis') > 0.5").fetchone() == (True,)


@pytest.mark.parametrize("database", ["maps", "maps_archive", "postgres", "template1"])
def test_a_role_connects_to_no_other_database(
    database: str, provisioned: Provisioning, postgres: PostgresServer
) -> None:
    assert provisioned.code == 0
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(postgres, "shop", SHOP, database)


def test_a_role_has_no_rights_beyond_its_own(provisioned: Provisioning, postgres: PostgresServer) -> None:
    assert provisioned.code == 0
    with connect(postgres, "maps", MAPS, "maps") as connection:
        rights = "select rolsuper, rolcreaterole, rolcreatedb, rolreplication from pg_roles where rolname = 'maps'"
        assert connection.execute(rights).fetchone() == (False, False, False, False)


def test_provisioning_again_changes_passwords_and_keeps_data(
    own_charts: Path, provisioned: Provisioning, postgres: PostgresServer, tmp_path: Path
) -> None:
    assert provisioned.code == 0
    with connect(postgres, "shop", SHOP, "shop") as connection:
        connection.execute("create table sold as select 1 as n")
    more = {**ROLES, "late": {"passwordKey": "late", "databases": {"late": []}}}
    again = provision(own_charts, postgres, more, tmp_path, PASSWORD_OF_SHOP="shop 2", PASSWORD_OF_LATE="late")
    assert again.code == 0, again.output
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(postgres, "shop", SHOP, "shop")
    with connect(postgres, "shop", "shop 2", "shop") as connection:
        assert connection.execute("select n from sold").fetchone() == (1,)
    connect(postgres, "late", "late", "late").close()
    assert provision(own_charts, postgres, ROLES, tmp_path).code == 0


def test_two_at_once_do_not_meet(
    own_charts: Path, provisioned: Provisioning, postgres: PostgresServer, tmp_path: Path
) -> None:
    assert provisioned.code == 0
    new = {f"new_{i}": {"passwordKey": "x", "databases": {f"new_{i}": ["pg_trgm"]}} for i in range(3)}
    passwords = {f"PASSWORD_OF_NEW_{i}": "x" for i in range(3)}
    folders = [tmp_path / name for name in ("job", "hook")]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda folder: provision(own_charts, postgres, new, folder, **passwords), folders))
    assert [p.code for p in done] == [0, 0], [p.output for p in done]


def test_a_mistake_in_an_extension_is_told_at_once_and_harms_nothing(
    own_charts: Path, provisioned: Provisioning, postgres: PostgresServer, tmp_path: Path
) -> None:
    assert provisioned.code == 0
    wrong = {**ROLES, "shop": {"passwordKey": "shop", "databases": {"shop": ["pg_trgn"]}}}
    failed = provision(own_charts, postgres, wrong, tmp_path)
    assert failed.code == 3, failed.output
    assert 'extension "pg_trgn" is not available' in failed.output
    connect(postgres, "shop", SHOP, "shop").close()
    for password in (MAPS, SHOP, SUPERUSER):
        assert password not in failed.output + postgres.log.read_text()


def test_a_database_of_another_role_is_not_taken_silently(
    own_charts: Path, provisioned: Provisioning, postgres: PostgresServer, tmp_path: Path
) -> None:
    assert provisioned.code == 0
    wrong = {"shop": {"passwordKey": "shop", "databases": {"maps": []}}}
    failed = provision(own_charts, postgres, wrong, tmp_path)
    assert failed.code == 3
    assert "the database maps is there already and belongs to maps, not to shop" in failed.output


def test_a_superusers_password_that_the_server_has_not_is_said_in_words(
    own_charts: Path, postgres: PostgresServer, tmp_path: Path
) -> None:
    failed = provision(own_charts, postgres, ROLES, tmp_path, PGPASSWORD="another")
    assert failed.code == 3
    assert "the server has another password of its superuser than the Secret: restart it" in failed.output


def test_a_server_that_is_away_is_waited_for_and_then_named(
    own_charts: Path, postgres: PostgresServer, tmp_path: Path
) -> None:
    failed = provision(own_charts, postgres, ROLES, tmp_path, PGPORT=str(free_port()), PATIENCE_S="1")
    # Not a mistake in the values: it may be tried again.
    assert failed.code == 1
    assert "the server did not answer within 1 s" in failed.output
    assert "Connection refused" in failed.output


def test_a_server_takes_its_superusers_new_password_when_it_starts(
    own_charts: Path, postgres: PostgresServer, tmp_path: Path
) -> None:
    store = pod_of(rendered(own_charts / "postgres", {}, tmp_path))
    (container,) = store["initContainers"]
    path = os.pathsep.join([str(postgres.installation.programs), os.environ["PATH"]])

    def set_password(password: str, data: Path) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": path, "PGDATA": str(data), "POSTGRES_PASSWORD": password}
        return subprocess.run(
            container["command"], env=environment, capture_output=True, text=True, cwd="/", **run_as(server_account())
        )

    postgres.stop()
    done = set_password("it's new", postgres.data)
    assert (done.returncode, "it's new" in done.stdout + done.stderr) == (0, False), done.stdout + done.stderr
    postgres.password = "it's new"
    postgres.start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        servers.administer(postgres.port, SUPERUSER)
    # One that fails is told, and the server starts all the same.
    kept = set_password("another", postgres.data)
    assert kept.returncode == 0
    assert "the superuser keeps the password it had" in kept.stdout
    servers.administer(postgres.port, "it's new").close()
    # A server that is to make its data folder is left to it.
    assert set_password("another", tmp_path / "none").returncode == 0
    postgres.stop()
    set_password(SUPERUSER, postgres.data)
    postgres.password = SUPERUSER
    postgres.start()


def test_postgres_with_tls_takes_encrypted_connections_alone_and_is_provisioned_over_them(
    own_charts: Path, provisioned: Provisioning, postgres: PostgresServer, tmp_path: Path, certificate: Certificate
) -> None:
    assert provisioned.code == 0
    store = rendered(own_charts / "postgres", {"tls": {"enabled": True, "secretName": "certificate"}}, tmp_path)
    hba = postgres.data / "pg_hba.conf.of-the-chart"
    hba.write_text(file_of(store, "pg_hba.conf"))
    words = pod_of(store)["containers"][0]["args"]
    given = dict(word.split("=", 1) for word in words if word.startswith(("ssl", "hba_file")))
    assert given.keys() == {"ssl", "ssl_cert_file", "ssl_key_file", "hba_file"}
    settings = {k: v.replace("/tls/", f"{certificate.folder}/") for k, v in given.items()} | {"hba_file": str(hba)}
    postgres.stop()
    process = start(
        servers.command(postgres.installation, postgres.data, postgres.port, **settings),
        postgres.log,
        account=server_account(),
    )
    checked = {
        "host": "localhost",
        "hostaddr": "127.0.0.1",
        "sslmode": "verify-full",
        "sslrootcert": certificate.authority,
    }
    try:
        wait_until(lambda: servers.answers(postgres.port, SUPERUSER), process, postgres.log, "Postgres", 20)
        with pytest.raises(psycopg.OperationalError, match="no encryption"):
            connect(postgres, "shop", SHOP, "shop", sslmode="disable")
        connect(postgres, "shop", SHOP, "shop", **checked).close()
        variables = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": certificate.authority}
        done = provision(own_charts, postgres, ROLES, tmp_path, **variables)
        assert done.code == 0, done.output
        refused = provision(
            own_charts, postgres, ROLES, tmp_path, PGHOST="another.example.com", PATIENCE_S="1", **variables
        )
        assert refused.code == 1
        assert "does not match host name" in refused.output
    finally:
        stop(process, signal.SIGINT)
        postgres.start()
