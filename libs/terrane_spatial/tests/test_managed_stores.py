"""The location on a managed Postgres and a provider's S3, by variables alone: the landing zone, COPY, the export."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest
from spatial_platform import Platform

from terrane.object_store import ObjectStoreResource, s3_client
from terrane.postgres import PostgresResource
from terrane_dev.managed_stores import ManagedPostgres, ManagedS3
from terrane_spatial.intake.ledger import LedgerResource

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def managed(
    managed_postgres: ManagedPostgres, managed_s3: ManagedS3, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """The location as its definitions make it from the environment; compute and ledger share the one database."""
    for name, value in (managed_postgres.variables("POSTGRES") | managed_s3.variables()).items():
        monkeypatch.setenv(name, value)
    with PostgresResource.from_process("POSTGRES").connect() as connection:
        connection.execute("drop schema if exists ledger cascade")
    with dg.DagsterInstance.ephemeral() as instance:
        yield from_environment(instance)


def from_environment(instance: dg.DagsterInstance) -> Platform:
    compute = PostgresResource.from_process("POSTGRES")
    return Platform(ObjectStoreResource.from_process(), compute, LedgerResource(**compute.model_dump()), instance)


def test_a_batch_is_loaded_and_published_over_tls(managed: Platform, managed_s3: ManagedS3) -> None:
    managed.put_sample("managed-1")
    done = managed.run_next()
    assert done.success
    batch = managed.batch("managed-1")
    assert batch is not None
    assert batch.state == "published"
    listed = s3_client(managed_s3.root).list_objects_v2(Bucket="example-data-lake", Prefix="one/team/places/managed-1/")
    assert {found["Key"].rsplit("/")[-1] for found in listed["Contents"]} >= {"places.parquet"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("POSTGRES_SSLROOTCERT", "another"),
        ("POSTGRES_PASSWORD", "nobodys-secret"),
        ("AWS_CA_BUNDLE", "another"),
        ("MINIO_ROOT_PASSWORD", "nobodys-secret"),
    ],
)
def test_what_is_refused_names_the_variable_and_blames_no_batch(
    managed: Platform,
    managed_postgres: ManagedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
) -> None:
    batch_id = f"refused-{variable.lower().replace('_', '-')}"
    managed.put_sample(batch_id)
    (request,) = managed.requests()
    monkeypatch.setenv(variable, str(managed_postgres.authority.another) if value == "another" else value)
    failed = from_environment(managed.instance).run(request)
    assert not failed.success
    told = " ".join(
        event.event_specific_data.error.to_string()  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
        for event in failed.all_events
        if event.is_step_failure
    )
    assert variable in told
    assert "nobodys-secret" not in told
    batch = managed.batch(batch_id)
    assert batch is not None
    assert batch.state != "rejected"
