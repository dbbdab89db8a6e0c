"""Both servers over one repository, for every test of this folder."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from feast import FeatureStore
from serving import make_repository, running, until

from terrane.postgres import PostgresResource
from terrane_dev.servers import postgres
from terrane_dev.testing import PostgresServer, RedisServer
from terrane_features.server.app import App
from terrane_features.server.registry.watch import RegistryWatcher
from terrane_features.server.settings import Access, Settings, read_settings

REFRESH_S = 0.2


@dataclass(frozen=True)
class Served:
    """A repository with its stores filled, and the variables its settings name."""

    folder: Path
    store: FeatureStore
    warehouse: PostgresResource
    variables: dict[str, str]

    @property
    def settings(self) -> Settings:
        return read_settings(self.folder, self.variables)

    def app(self, access: Access | None = None) -> App:
        settings = self.settings if access is None else replace(self.settings, access=access)
        return App(settings, RegistryWatcher(settings, REFRESH_S))


@pytest.fixture(scope="session")
def served(
    postgres_server: PostgresServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    name, password = f"served_{secrets.token_hex(4)}", secrets.token_hex(8)
    postgres.ensure_role(postgres_server.port, postgres_server.password, name, password)
    postgres.ensure_database(postgres_server.port, postgres_server.password, name, name)
    warehouse = PostgresResource(
        host="127.0.0.1", port=str(postgres_server.port), user=name, password=password, database=name
    )
    with warehouse.connect() as connection:
        connection.execute("create schema feast")
    variables = {
        "USER_NAME": name,
        "USER_PASSWORD": password,
        "DB_PORT": str(postgres_server.port),
        "DB_NAME": name,
        "REDIS_PORT": str(redis_server.port),
        "REDIS_PASSWORD": redis_server.password,
    }
    folder = tmp_path_factory.mktemp("served")
    before = {key: os.environ.get(key) for key in variables}
    os.environ.update(variables)
    store = make_repository(folder)
    yield Served(folder, store, warehouse, variables)
    store.registry.write_engine.dispose()  # pyright: ignore[reportAttributeAccessIssue]
    for key, value in before.items():
        if value is None:
            os.environ.pop(key)
        else:
            os.environ[key] = value


@pytest.fixture(scope="session")
def ours(served: Served) -> Iterator[httpx.Client]:
    with running(served.app()) as client:
        until(lambda: client.get("/ready").status_code == 200, 20)
        yield client
