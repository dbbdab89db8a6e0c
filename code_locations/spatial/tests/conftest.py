"""The fixtures of the location's tests: the location on real PostGIS, on a folder or on S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from spatial.ledger import LedgerResource
from spatial.testing import Platform
from terrane.object_store import ObjectStoreResource
from terrane.postgres import PostgresResource

pytest_plugins = ["terrane.testing"]


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
