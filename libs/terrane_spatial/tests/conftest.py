"""The fixtures of the location's tests: the location on real PostGIS, on a folder or on S3."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from spatial_platform import Platform

from terrane.object_store import ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane_dev.servers import postgres
from terrane_spatial.intake.ledger import LedgerResource

if TYPE_CHECKING:
    from terrane_dev.testing import PostgresServer

# Dagster waits between tries; what is tried again is tested, and not how long it takes.
os.environ["TERRANE_SPATIAL_RETRY_DELAY_S"] = "0.01"
pytest_plugins = ["terrane_dev.testing", "terrane_dev.managed_stores"]

PYPROJECT = """\
[project]
name = "rivers"
version = "0.1.0"
[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "rivers"
"""


@pytest.fixture(scope="session")
def postgis(postgres_server: PostgresServer) -> PostgresResource:
    """A database for tests that take a schema of their own in it."""
    name = "t_shared"
    postgres.ensure_role(postgres_server.port, postgres_server.password, name, name)
    postgres.ensure_database(postgres_server.port, postgres_server.password, name, name, ("postgis",))
    return PostgresResource(host="127.0.0.1", port=str(postgres_server.port), user=name, password=name, database=name)


@pytest.fixture
def make_platform(
    make_database: Callable[..., PostgresResource],
) -> Iterator[Callable[[ObjectStoreResource], Platform]]:
    with dg.DagsterInstance.ephemeral() as instance:

        def make(store: ObjectStoreResource) -> Platform:
            books = make_database()
            ledger = LedgerResource(**books.model_dump(include={"host", "port", "user", "password", "database"}))
            return Platform(store, make_database("postgis"), ledger, instance)

        yield make


@pytest.fixture
def platform(make_platform: Callable[[ObjectStoreResource], Platform], folder_store: ObjectStoreResource) -> Platform:
    """The location on real PostGIS and a folder."""
    return make_platform(folder_store)


@pytest.fixture
def platform_anywhere(
    make_platform: Callable[[ObjectStoreResource], Platform], object_store: ObjectStoreResource
) -> Platform:
    """The location on real PostGIS and a folder, then on S3: a test that takes it runs twice."""
    return make_platform(object_store)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A location's folder as `dg` wants it, without definitions."""
    for package in (tmp_path / "src/rivers", tmp_path / "src/rivers/defs"):
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path
