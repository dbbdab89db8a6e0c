"""Runs the story in two environments on one Postgres, one folder of buckets and one Redis, and compares checksums.

Of each store, everything belongs to one of the two by the end of its name; what changes while only the other one runs
has been touched. A table's checksum holds who wrote each row (`xmin`) and which file it lies in, an object's its time:
what was written again as it was counts, too.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from terrane import names
from terrane_dev.servers import postgres, redis
from terrane_dev.servers.process import free_port, start, stop, wait_until
from terrane_dev.testing import START_TIMEOUT_S, PostgresServer, RedisServer, temporary_server_folder

ROOT = Path(__file__).parents[2]
ONE, OTHER = names.Names(""), names.Names("staging")
LOCATIONS = ("spatial", "analytics", "features")
DATABASES = {names.WAREHOUSE: (), names.SPATIAL_COMPUTE: ("postgis",), names.SPATIAL_ETL: ()}
STORY_TIMEOUT_S = 300
API_KEY = "of-the-two-environments"
# A view that the second round finds gone.
SECOND_VIEW = """
from datetime import timedelta

from entities import user_entity
from feast import FeatureView, Field
from feast.types import Int64
from user_journal import user_journal_source

second = FeatureView(
    name="second",
    entities=[user_entity],
    ttl=timedelta(days=3650),
    schema=[Field(name="entries_total", dtype=Int64)],
    source=user_journal_source,
)
"""

Thing = tuple[str, str]
Checksums = dict[Thing, str]


@dataclass
class Touching:
    """What was found.

    Attributes:
        touched: of each environment, the things that changed while the other ran: (store, name).
        own: of each environment, how many things it has in each store: without any, nothing was compared.
        served: of each environment, what its feature server answered.
    """

    touched: dict[str, set[Thing]] = field(default_factory=dict)
    own: dict[str, dict[str, int]] = field(default_factory=dict)
    changed_itself: dict[str, set[Thing]] = field(default_factory=dict)
    served: dict[str, list[Any]] = field(default_factory=dict)
    seconds: float = 0

    @property
    def count(self) -> int:
        return sum(map(len, self.touched.values()))


def environments_touching() -> int:
    """How many tables, objects and keys of one environment the other changes: 0. Costs two minutes of CPU."""
    return measure().count


def measure(locations: Sequence[str] = LOCATIONS) -> Touching:
    """Runs one, the other, then the second round of one and of the other; compares after each.

    Args:
        locations: whose parts of the story are run; without features nothing is served.
    """
    began, found = time.monotonic(), Touching()
    with _stores(locations) as stores:
        for round_, environment, idle in (
            ("first", ONE, OTHER),
            ("first", OTHER, ONE),
            ("second", ONE, OTHER),
            ("second", OTHER, ONE),
        ):
            before, own = stores.checksums(idle), stores.checksums(environment)
            stores.run(environment, round_)
            found.touched.setdefault(idle.environment, set()).update(_changed(before, stores.checksums(idle)))
            after = stores.checksums(environment)
            found.changed_itself[environment.environment] = _changed(own, after)
            found.own[environment.environment] = _by_store(after)
        for environment in (ONE, OTHER) if "features" in locations else ():
            found.served[environment.environment] = stores.serve(environment)
    found.seconds = time.monotonic() - began
    return found


@dataclass
class _Stores:
    """The three stores, and a folder for what each environment has of its own outside of them."""

    locations: Sequence[str]
    folder: Path
    postgres: PostgresServer
    redis: RedisServer
    source: int

    def run(self, environment: names.Names, round_: str) -> None:
        """A round of the story. Raises RuntimeError with what the part that failed said."""
        repository = self._own(environment) / "feast_repo"
        if round_ == "first":
            shutil.copytree(ROOT / "feast_repo", repository, ignore=shutil.ignore_patterns(".*", "__pycache__"))
            (repository / "second.py").write_text(SECOND_VIEW)
        else:
            (repository / "second.py").unlink()
        for location in self.locations:
            command = [_python(location), "-m", "benchmarks.environments.story", location, round_]
            done = subprocess.run(
                command,
                env=self.variables(environment),
                cwd=ROOT / "code_locations" / location,
                capture_output=True,
                text=True,
                timeout=STORY_TIMEOUT_S,
                check=False,
            )
            if done.returncode:
                named = environment.environment or "without a name"
                raise RuntimeError(f"{location}, {round_} round, environment {named}: {done.stderr[-4000:]}")

    def serve(self, environment: names.Names) -> list[Any]:
        """What a feature server of the environment answers for some users."""
        port, log = free_port(), self._own(environment) / "server.log"
        command = [_python("features"), "-m", "terrane_features.server", "--port", str(port)]
        process = start(command, log, environment=self.variables(environment))
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: _answers(f"{url}/ready"), process, log, "the feature server", START_TIMEOUT_S)
            question = {"features": ["user_journal_features:entries_total"], "entities": {"user_id": [1, 2, 3]}}
            answer = httpx.post(f"{url}/get-online-features", json=question, timeout=30)
            answer.raise_for_status()
            return answer.json()["results"][1]["values"]
        finally:
            stop(process)

    def checksums(self, environment: names.Names) -> Checksums:
        """Of everything in the stores whose name ends as the environment's names do."""
        return self._tables(environment) | self._objects(environment) | self._keys(environment)

    def variables(self, environment: names.Names) -> dict[str, str]:
        """What a process of the environment is given: the same addresses in both."""
        address = {"HOST": "127.0.0.1", "PORT": str(self.postgres.port), "PASSWORD": self.postgres.password}
        warehouse = address | {"USER": names.WAREHOUSE, "DB": names.WAREHOUSE}
        spatial = address | {"USER": names.WAREHOUSE, "DB": names.SPATIAL_COMPUTE}
        unwanted = {names.SUFFIX_VARIABLE, names.AUTOMATION_VARIABLE, "FEATURE_SERVER_URL", "VIRTUAL_ENV"}
        home = self._own(environment) / "home"
        home.mkdir(exist_ok=True)
        return {
            **{name: value for name, value in os.environ.items() if name not in unwanted},
            **{f"WAREHOUSE_{name}": value for name, value in warehouse.items()},
            **{f"POSTGRES_{name}": value for name, value in spatial.items()},
            names.VARIABLE: environment.environment,
            "POSTGRES_LEDGER_DB": names.SPATIAL_ETL,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.redis.port),
            "REDIS_DB": "0",
            "REDIS_PASSWORD": self.redis.password,
            "MINIO_ENDPOINT": (self.folder / "objects").as_uri(),
            "MINIO_ROOT_USER": "unused",
            "MINIO_ROOT_PASSWORD": "unused",
            "SOURCE_API_URL": f"http://127.0.0.1:{self.source}",
            "API_KEY": API_KEY,
            "INGESTION_START_DATE": "2026-01-01",
            "FEAST_REPO_PATH": str(self._own(environment) / "feast_repo"),
            "DBT_PROFILES_DIR": str(ROOT / "dbt"),
            "DAGSTER_HOME": str(home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(ROOT),
        }

    def _own(self, environment: names.Names) -> Path:
        folder = self.folder / f"of-{environment.environment}"
        folder.mkdir(exist_ok=True)
        return folder

    def _tables(self, environment: names.Names) -> Checksums:
        found: Checksums = {}
        for database in DATABASES:
            with postgres.administer(self.postgres.port, self.postgres.password, database) as connection:
                relations = connection.execute(
                    "select nspname, relname, relkind, c.oid, relfilenode, c.xmin::text from pg_class c "
                    "join pg_namespace n on n.oid = relnamespace where relkind in ('r', 'v', 'S', 'i', 'm') "
                    "and nspname !~ '^pg_' and nspname <> 'information_schema'"
                ).fetchall()
                for schema, name, kind, *facts in relations:
                    if _is_of(environment, schema, "_"):
                        rows = _rows(connection, schema, name) if kind == "r" else ""
                        # Postgres counts rows in pg_class, now and then, which gives a table's entry another xmin.
                        found["postgres", f"{database}.{schema}.{name}"] = f"{facts[:2]} {rows}"
        return found

    def _objects(self, environment: names.Names) -> Checksums:
        found: Checksums = {}
        for bucket in (self.folder / "objects").glob("*"):
            if bucket.name == ".locks" or not _is_of(environment, bucket.name, "-"):
                continue
            for file in (each for each in bucket.rglob("*") if each.is_file()):
                written = f"{file.stat().st_mtime_ns} {hashlib.sha256(file.read_bytes()).hexdigest()}"
                found["objects", str(file.relative_to(bucket.parent))] = written
        return found

    def _keys(self, environment: names.Names) -> Checksums:
        from redis import Redis

        with Redis("127.0.0.1", self.redis.port, password=self.redis.password) as client:
            keys: Any = client.keys("*")
            own = [key for key in keys if key.endswith(b"__staging") == bool(environment.environment)]
            return {("redis", repr(key)): hashlib.sha256(_content(client, key)).hexdigest() for key in own}


@contextmanager
def _stores(locations: Sequence[str]) -> Iterator[_Stores]:
    installation, program = postgres.find_installation(), redis.find_program()
    if installation is None or program is None:
        raise FileNotFoundError("Postgres with PostGIS and redis-server are wanted: `make setup` installs them")
    with temporary_server_folder("environments") as folder:
        folder.chmod(0o755)
        password = secrets.token_hex(12)
        data = postgres.make_cluster(installation, folder / "postgres", password)
        database = PostgresServer(installation, data, folder / "postgres.log", free_port(), password)
        (folder / "redis").mkdir(mode=0o777)
        (folder / "redis").chmod(0o777)
        online = RedisServer(program, folder / "redis", folder / "redis.log", free_port(), secrets.token_hex(12))
        stores = _Stores(locations, folder, database, online, free_port())
        database.start()
        online.start()
        arguments = ["-m", "source_api", "--port", str(stores.source), "--first-day", "2026-01-01"]
        source = start(
            [str(ROOT / ".venv/bin/python"), *arguments],
            folder / "source.log",
            environment=os.environ | {"API_KEY": API_KEY},
            folder=ROOT / "samples",
        )
        try:
            postgres.ensure_role(database.port, password, names.WAREHOUSE, password)
            for name, extensions in DATABASES.items():
                postgres.ensure_database(database.port, password, name, names.WAREHOUSE, extensions)
            (folder / "objects").mkdir()
            health = f"http://127.0.0.1:{stores.source}/health"
            wait_until(lambda: _answers(health), source, folder / "source.log", "the source", START_TIMEOUT_S)
            yield stores
        finally:
            stop(source)
            online.stop()
            database.stop()


def _is_of(environment: names.Names, name: str, separator: str) -> bool:
    end = separator * 2 + OTHER.environment
    return name.endswith(end) == (environment == OTHER)


def _rows(connection: psycopg.Connection, schema: str, table: str) -> str:
    query = sql.SQL(
        "select md5(string_agg(md5(xmin::text || t::text), '' order by md5(xmin::text || t::text))) from {} t"
    )
    row = connection.execute(query.format(sql.Identifier(schema, table))).fetchone()
    return str(row and row[0])


def _content(client: Any, key: bytes) -> bytes:
    """Of a hash its sorted fields, for DUMP has them in any order."""
    kind = client.type(key)
    return repr(sorted(client.hgetall(key).items()) if kind == b"hash" else client.dump(key)).encode()


def _changed(before: Mapping[Thing, str], after: Mapping[Thing, str]) -> set[Thing]:
    return {thing for thing in before.keys() | after.keys() if before.get(thing) != after.get(thing)}


def _by_store(checksums: Checksums) -> dict[str, int]:
    counted: dict[str, int] = {}
    for store, _ in checksums:
        counted[store] = counted.get(store, 0) + 1
    return counted


def _python(location: str) -> str:
    return str(ROOT / "code_locations" / location / ".venv/bin/python")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False
