"""What the suite shares: the sample source API in a thread, an empty warehouse, a lake with places, the location."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

TESTS = Path(__file__).parent
for folder in (TESTS / "support", TESTS.parents[2] / "samples"):
    sys.path.insert(0, str(folder))

import dagster as dg  # noqa: E402
import pytest  # noqa: E402
from external import Runs  # noqa: E402
from faulty_api import FIRST_DAY, KEY, FaultyApi  # noqa: E402
from location import Location, publish_places  # noqa: E402

from analytics.ingestion import ingest_days  # noqa: E402
from analytics.resources import SourceApiResource  # noqa: E402
from terrane import policies  # noqa: E402
from terrane.object_store import ObjectStoreResource  # noqa: E402
from terrane.postgres import PostgresResource  # noqa: E402
from terrane.publishing import Commit  # noqa: E402

pytest_plugins = ["terrane_dev.testing", "terrane_dev.managed_stores"]

policies.RETRY_DELAY_S = 0  # a test has no time to wait
os.environ["INGESTION_START_DATE"] = FIRST_DAY.isoformat()


@pytest.fixture(scope="session")
def running_api() -> Iterator[FaultyApi]:
    server = FaultyApi()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(running_api: FaultyApi) -> FaultyApi:
    """The sample source API, well until the test does something to it."""
    running_api.heal()
    return running_api


@pytest.fixture
def source_api(api: FaultyApi) -> SourceApiResource:
    """The resource, which waits only milliseconds between attempts."""
    return SourceApiResource(url=api.url, key=KEY, timeout_s=0.5, attempts=3, backoff_s=0.001)


@pytest.fixture
def warehouse(make_database: Callable[..., PostgresResource], monkeypatch: pytest.MonkeyPatch) -> PostgresResource:
    """An empty warehouse, which the environment names too, for dbt."""
    made = make_database()
    for name, value in (("HOST", made.host), ("PORT", made.port), ("USER", made.user), ("PASSWORD", made.password)):
        monkeypatch.setenv(f"WAREHOUSE_{name}", value)
    monkeypatch.setenv("WAREHOUSE_DB", made.database)
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    return made


@pytest.fixture
def places(folder_store: ObjectStoreResource) -> Commit:
    """A batch of places, published in the lake."""
    return publish_places(folder_store)


@pytest.fixture
def location(
    source_api: SourceApiResource, warehouse: PostgresResource, folder_store: ObjectStoreResource
) -> Iterator[Location]:
    """The location on an instance of its own."""
    resources = {"source_api": source_api, "warehouse": warehouse, "object_store": folder_store}
    with dg.DagsterInstance.ephemeral() as instance:
        yield Location(resources, instance)


@pytest.fixture
def ingest(warehouse, source_api):
    """Ingests and returns the rows of each day that was committed, also when a later one fails."""

    def run(source, days, run_id="run-1", done=None, page_rows=1500):
        done = {} if done is None else done
        with source_api.client() as client:
            ingest_days(warehouse, client, source, days, run_id, done.__setitem__, page_rows)
        return done

    return run


@pytest.fixture
def query(warehouse):
    def rows(text):
        with warehouse.connect() as connection:
            return connection.execute(text).fetchall()

    return rows


@pytest.fixture
def runs(warehouse: PostgresResource, folder_store: ObjectStoreResource) -> Iterator[Runs]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(warehouse, folder_store, instance)
