"""What every test of this location starts from: a copy of the repository, and empty stores that its settings name."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from terrane import policies
from terrane.ownership import Ownership
from terrane.postgres import PostgresResource
from terrane_dev.managed_stores import ManagedPostgres, ManagedRedis
from terrane_dev.testing import RedisServer
from terrane_features.components.lineage import Lineage
from terrane_features.components.online_view import online_view
from terrane_features.components.registry import registry
from terrane_features.components.settings import CheckSettings
from terrane_features.online_store.inspect import inspect_row
from terrane_features.repository.model import FeatureView
from terrane_features.resources import FeastResource, FeatureServer

pytest_plugins = ["terrane_dev.testing", "terrane_dev.managed_stores"]
sys.path.insert(0, str(Path(__file__).parent / "support"))
policies.RETRY_DELAY_S = 0  # a test has no time to wait

REPOSITORY = Path(__file__).parents[3] / "feast_repo"
USERS = 50
BATCH_ROWS = 20
GOLD_SQL = """
    create schema gold;
    create table gold.user_journal_features (
        user_id bigint unique not null,
        event_timestamp timestamptz not null,
        created_timestamp timestamptz,
        entries_total bigint,
        entries_last_7d bigint,
        entries_last_30d bigint,
        minutes_total double precision,
        avg_words double precision,
        avg_mood double precision,
        favourite_game_type text,
        last_place text,
        last_country text,
        countries_visited bigint,
        is_active bool
    );
"""
ROWS_SQL = f"""
    insert into gold.user_journal_features
    select u, now() - u * interval '1 hour', now(), u * 3, u % 7, u % 30, u / 3.0,
        case when u % 4 = 0 then null else u / 7.0 end, null, 'game ' || u % 5, 'Größe ' || u, '', u % 20, u % 2 = 0
    from generate_series(1, {USERS}) u
"""


@dataclass(frozen=True)
class Stores:
    """The location's resources, over stores that are this test's own."""

    feast: FeastResource
    warehouse: PostgresResource
    users: int = USERS
    batch_rows: int = BATCH_ROWS

    @property
    def view(self) -> FeatureView:
        return self.feast.repository().view("user_journal_features")

    def run(
        self,
        *,
        allow_deletions: bool = False,
        allow_mass_deletion: bool = False,
        url: str = "",
        raise_on_error: bool = True,
        only_views: bool = False,
    ) -> dg.ExecuteInProcessResult:
        """Materialises the registry and every view, as one run; or the views alone."""
        repository = self.feast.repository()
        lineage = Lineage(Ownership("team:features", "features"))
        views = [online_view(view, CheckSettings(), lineage) for view in repository.views]
        return dg.materialize(
            [registry(repository, lineage), *views],
            selection=views if only_views else None,
            resources={
                "feast": self.feast,
                "warehouse": self.warehouse,
                "feature_server": FeatureServer(url=url),
            },
            run_config={
                "ops": {
                    **({} if only_views else {"feast__registry": {"config": {"allow_deletions": allow_deletions}}}),
                    **{
                        f"online__{view.name}": {"config": {"allow_mass_deletion": allow_mass_deletion}}
                        for view in repository.views
                    },
                }
            },
            raise_on_error=raise_on_error,
        )

    def sql(self, statement: str, parameters: Sequence[object] | None = None) -> list[tuple]:
        with self.warehouse.connect() as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def online(self, *users: int) -> dict[str, list]:
        """What Feast's own client reads of the view, a list a feature."""
        references = [f"user_journal_features:{feature.name}" for feature in self.view.features]
        rows = [{"user_id": user} for user in users]
        return self.feast.store().get_online_features(features=references, entity_rows=rows).to_dict()

    def row(self, view: FeatureView, *entity: int | str) -> dict[str, Any] | None:
        """What Redis holds of a view for one entity."""
        repository = self.feast.repository()
        with self.feast.online_store().client() as client:
            return inspect_row(client, repository.project, view, *entity)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.feast.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def repository_copy(tmp_path: Path) -> Path:
    folder = tmp_path / "feast_repo"
    shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def stores(
    make_database: Callable[..., PostgresResource],
    redis_server: RedisServer,
    repository_copy: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stores]:
    """Gold with USERS users and an empty Redis; rows are written BATCH_ROWS at a time."""
    warehouse = make_database()
    monkeypatch.setattr("terrane_features.engine.reading.BATCH_ROWS", BATCH_ROWS)
    variables = {
        **{f"WAREHOUSE_{name.upper()}": getattr(warehouse, name) for name in ("host", "port", "user", "password")},
        "WAREHOUSE_DB": warehouse.database,
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis_server.port),
        "REDIS_DB": "1",
        "REDIS_PASSWORD": redis_server.password,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made = Stores(FeastResource(repo_path=str(repository_copy)), warehouse)
    made.sql(GOLD_SQL)
    made.sql(ROWS_SQL)
    online_store = made.feast.online_store()
    yield made
    with online_store.client() as client:
        client.flushdb()


@pytest.fixture
def managed(
    managed_postgres: ManagedPostgres,
    managed_redis: ManagedRedis,
    repository_copy: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stores]:
    """Gold in a managed Postgres and an empty managed Redis, named by the variables that a location is given."""
    for name, value in (managed_postgres.variables() | managed_redis.variables()).items():
        monkeypatch.setenv(name, value)
    stores = Stores(FeastResource(repo_path=str(repository_copy)), PostgresResource.from_process("WAREHOUSE"))
    # A server that a test stopped may still be asking for what is dropped here.
    stores.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = current_user and datname = current_database() and pid <> pg_backend_pid()"
    )
    stores.sql("drop schema if exists gold cascade; drop schema if exists feast cascade")
    stores.sql(GOLD_SQL)
    stores.sql(ROWS_SQL)
    online = stores.feast.online_store()
    yield stores
    with online.client() as client:
        for key in client.scan_iter():
            client.delete(key)
