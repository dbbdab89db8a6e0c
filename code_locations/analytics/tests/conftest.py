"""What the suite shares: the sample source API in a thread, an empty warehouse, a lake with places, the location."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
FIRST_DAY = date(2026, 1, 1)
KEY = "the-key-of-the-tests"

sys.path.insert(0, str(ROOT / "samples"))
os.environ["INGESTION_START_DATE"] = FIRST_DAY.isoformat()

import dagster as dg  # noqa: E402
import pytest  # noqa: E402

from analytics.resources import SourceApiResource  # noqa: E402
from source_api.server import SourceApi  # noqa: E402
from terrane.object_store import DATA_LAKE, ObjectStoreResource  # noqa: E402
from terrane.postgres import PostgresResource  # noqa: E402
from terrane.publishing import Commit, publish  # noqa: E402

pytest_plugins = ["terrane.testing"]

COUNTRIES = (("CIV", "Côte d'Ivoire", "Africa"), ("CHE", "Switzerland", "Europe"), (None, None, None))
PLACES = tuple(f"Place {n}" for n in range(40))


@cache
def location() -> dg.Definitions:
    """What the location's folder defs/ holds, without resources."""
    import analytics

    return dg.load_from_defs_folder(path_within_project=Path(analytics.__file__).parent)


@pytest.fixture(scope="session")
def api() -> Iterator[SourceApi]:
    """The sample source API. Tests that make it fail put it back."""
    server = SourceApi(FIRST_DAY, KEY, PLACES)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def source_api(api: SourceApi) -> SourceApiResource:
    """The resource, which waits only milliseconds between attempts."""
    return SourceApiResource(url=api.url, key=KEY, timeout_s=2, attempts=3, backoff_s=0.001)


@pytest.fixture
def warehouse(make_database: Callable[..., PostgresResource], monkeypatch: pytest.MonkeyPatch) -> PostgresResource:
    """An empty warehouse, which the environment names too, for dbt."""
    made = make_database()
    for name, value in (("HOST", made.host), ("PORT", made.port), ("USER", made.user), ("PASSWORD", made.password)):
        monkeypatch.setenv(f"WAREHOUSE_{name}", value)
    monkeypatch.setenv("WAREHOUSE_DB", made.database)
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    return made


def publish_places(store: ObjectStoreResource, batch_id: str = "places-1", names: tuple[str, ...] = PLACES) -> Commit:
    """A batch of places such as the location spatial publishes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for n, name in enumerate(names):
        code, country, continent = COUNTRIES[n % len(COUNTRIES)]
        rows.append(
            {
                "place_id": n + 1,
                "name": name,
                "country_iso_a3": code,
                "country": country,
                "continent": continent,
                "longitude": n / 3,
                "latitude": -n / 7,
                "geometry": b"\x01",
            }
        )
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    content = sink.getvalue().to_pybytes()
    return publish(store.bucket(DATA_LAKE), "places", batch_id, f"run-{batch_id}", {"places.parquet": content})


class Platform:
    """The location with its resources: runs of it, on an instance of its own."""

    def __init__(self, resources: dict[str, object], instance: dg.DagsterInstance):
        self.resources, self.instance = resources, instance
        self.definitions = dg.Definitions.merge(location(), dg.Definitions(resources=resources))

    def run(
        self, *keys: str, days: tuple[str, str] | None = None, job: str = "__ASSET_JOB"
    ) -> dg.ExecuteInProcessResult:
        """One run of the assets, with their checks, over the days from first to last."""
        tags = (
            {"dagster/asset_partition_range_start": days[0], "dagster/asset_partition_range_end": days[1]}
            if days
            else {}
        )
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey.from_user_string(key) for key in keys] or None,
            tags=tags,
            raise_on_error=False,
        )

    def models(self) -> list[str]:
        """The keys of everything dbt builds."""
        specs = self.definitions.resolve_all_asset_specs()
        return [spec.key.to_user_string() for spec in specs if "dbt" in spec.kinds]


@pytest.fixture
def places(folder_store: ObjectStoreResource) -> Commit:
    """A batch of places, published in the lake."""
    return publish_places(folder_store)


@pytest.fixture
def platform(
    source_api: SourceApiResource, warehouse: PostgresResource, folder_store: ObjectStoreResource
) -> Iterator[Platform]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform({"source_api": source_api, "warehouse": warehouse, "object_store": folder_store}, instance)


def moment(day: date) -> datetime:
    """The day's beginning in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
