"""A managed Postgres: encrypted connections alone, by an authority that no system knows."""

from __future__ import annotations

import dagster as dg
import psycopg
import pytest

from terrane.errors import as_failures, database_errors, is_temporary, message_of
from terrane.policies import retry_policy
from terrane.postgres import PostgresResource
from terrane_dev.managed_stores import ManagedPostgres
from terrane_dev.servers.process import free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def database(managed_postgres: ManagedPostgres, monkeypatch: pytest.MonkeyPatch) -> PostgresResource:
    """As a location makes it from its environment."""
    for name, value in managed_postgres.variables().items():
        monkeypatch.setenv(name, value)
    return PostgresResource.from_process("WAREHOUSE")


ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


def test_a_connection_is_encrypted_and_the_server_is_who_it_says(database: PostgresResource) -> None:
    with database.connect() as connection:
        assert connection.execute(ENCRYPTED).fetchone() == (True,)
    with psycopg.connect(database.uri()) as connection:
        assert connection.execute(ENCRYPTED).fetchone() == (True,)


def test_a_run_reads_the_same_settings_when_it_starts(database: PostgresResource) -> None:
    from dagster import build_resources

    with build_resources({"warehouse": PostgresResource.from_env("WAREHOUSE")}) as resources:
        assert resources.warehouse == database


def test_what_is_not_set_is_left_to_libpqs_own_variables(
    database: PostgresResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", database.sslrootcert)
    with database.model_copy(update={"sslmode": "", "sslrootcert": ""}).connect() as connection:
        assert connection.execute(ENCRYPTED).fetchone() == (True,)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"sslrootcert": "another"}, r"certificate verify failed; see WAREHOUSE_SSLMODE and WAREHOUSE_SSLROOTCERT"),
        ({"sslrootcert": "/nowhere/ca.crt"}, r"/nowhere/ca.crt.* does not exist .*; see .*WAREHOUSE_SSLROOTCERT"),
        ({"sslmode": "disable"}, r"no encryption; see WAREHOUSE_SSLMODE and WAREHOUSE_SSLROOTCERT"),
        ({"user": "nobody"}, r"password authentication failed .*; see WAREHOUSE_USER and WAREHOUSE_PASSWORD"),
        ({"password": "nobodys-secret"}, r"authentication failed .*; see WAREHOUSE_USER and WAREHOUSE_PASSWORD"),
    ],
)
def test_what_is_wrong_is_told_with_its_variables_and_without_the_password(
    database: PostgresResource, managed_postgres: ManagedPostgres, changed: dict[str, str], named: str
) -> None:
    if changed.get("sslrootcert") == "another":
        changed = {"sslrootcert": str(managed_postgres.authority.another)}
    wrong = database.model_copy(update=changed)
    with pytest.raises(psycopg.OperationalError, match=named) as refused:
        wrong.connect()
    assert wrong.password not in str(refused.value)
    assert message_of(refused.value).count("; see ") == 1


def test_an_untrusted_server_is_not_tried_again(database: PostgresResource, managed_postgres: ManagedPostgres) -> None:
    another = database.model_copy(update={"sslrootcert": str(managed_postgres.authority.another)})
    with pytest.raises(psycopg.OperationalError) as refused:
        another.connect()
    assert not is_temporary(refused.value)
    with pytest.raises(psycopg.OperationalError) as directly:
        psycopg.connect(another.uri())
    assert message_of(directly.value).endswith("; see *_SSLMODE and *_SSLROOTCERT")


@pytest.mark.parametrize("changed", ["password", "user", "port"])
def test_a_step_whose_password_is_refused_ends_at_once_and_one_whose_server_does_not_answer_is_tried_again(
    database: PostgresResource, changed: str
) -> None:
    wrong = database.model_copy(update={changed: str(free_port()) if changed == "port" else "another"})

    @dg.op(retry_policy=retry_policy(delay_s=0))
    def connects() -> None:
        with as_failures(), database_errors(wrong, "looking"), wrong.connect():
            pass

    @dg.job(executor_def=dg.in_process_executor)
    def job() -> None:
        connects()

    events = job.execute_in_process(raise_on_error=False).all_events
    assert sum(event.is_step_up_for_retry for event in events) == (2 if changed == "port" else 0)
    assert any(event.is_step_failure for event in events)
