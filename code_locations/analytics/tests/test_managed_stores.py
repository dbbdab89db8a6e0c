"""The location on a managed Postgres and a provider's S3, by variables alone: ingestion, dbt, and the export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from location import Location, publish_places

from analytics.resources import SourceApiResource
from terrane.object_store import DATA_LAKE, ObjectStoreResource, s3_client
from terrane.postgres import PostgresResource
from terrane.publishing import list_commits
from terrane_dev.managed_stores import ManagedPostgres, ManagedS3

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DAYS = ("2026-01-01", "2026-01-02")
EXPORT = "exports/user_journal_features"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def variables(
    managed_postgres: ManagedPostgres, managed_s3: ManagedS3, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    given = managed_postgres.variables() | managed_s3.variables()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    with PostgresResource.from_process("WAREHOUSE").connect() as connection:
        for schema in ("raw", "staging", "intermediate", "gold"):
            connection.execute(f"drop schema if exists {schema} cascade".encode())
    return given


def located(source_api: SourceApiResource, instance: dg.DagsterInstance) -> Location:
    """The location as its definitions make it from the environment, with the tests' own source."""
    warehouse, store = PostgresResource.from_process("WAREHOUSE"), ObjectStoreResource.from_process()
    return Location({"source_api": source_api, "warehouse": warehouse, "object_store": store}, instance)


def test_rows_are_ingested_built_and_exported_over_tls(
    variables: dict[str, str], managed_s3: ManagedS3, source_api: SourceApiResource, instance: dg.DagsterInstance
) -> None:
    location = located(source_api, instance)
    publish_places(ObjectStoreResource.from_process())
    raw = location.run("raw/users", "raw/journal_entries", "raw/game_types", "raw/places", days=DAYS)
    assert raw.success, location.failures(raw)
    built = location.run(*location.models(), EXPORT)
    assert built.success, location.failures(built)
    assert list_commits(ObjectStoreResource.from_process().bucket(DATA_LAKE), EXPORT)
    listed = s3_client(managed_s3.root).list_objects_v2(Bucket="example-data-lake", Prefix="one/team/")
    assert any("user_journal_features" in found["Key"] for found in listed["Contents"])


@pytest.mark.parametrize(
    ("asset", "variable", "value"),
    [
        ("raw/users", "WAREHOUSE_SSLROOTCERT", "another"),
        ("raw/users", "WAREHOUSE_USER", "nobody"),
        ("dbt", "WAREHOUSE_SSLROOTCERT", "another"),
        ("dbt", "WAREHOUSE_PASSWORD", "nobodys-secret"),
        ("raw/places", "AWS_CA_BUNDLE", "another"),
        ("raw/places", "MINIO_ROOT_PASSWORD", "nobodys-secret"),
    ],
)
def test_a_run_that_is_refused_names_the_variable_and_shows_no_password(
    variables: dict[str, str],
    managed_postgres: ManagedPostgres,
    source_api: SourceApiResource,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    asset: str,
    variable: str,
    value: str,
) -> None:
    another: Path = managed_postgres.authority.another
    monkeypatch.setenv(variable, str(another) if value == "another" else value)
    location = located(source_api, instance)
    keys = location.models() if asset == "dbt" else [asset]
    failed = location.run(*keys, days=DAYS if asset == "raw/users" else None)
    assert not failed.success
    told = " ".join(location.failures(failed))
    assert variable in told
    for secret in ("nobodys-secret", variables["WAREHOUSE_PASSWORD"], variables["MINIO_ROOT_PASSWORD"]):
        assert secret not in told
