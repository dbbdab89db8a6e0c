"""While a step writes many events, its connections to Dagster's Postgres are kept; before and after, nothing is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from terrane.event_log import kept_connections
from terrane.postgres import PostgresResource

pytestmark = pytest.mark.integration

EVENTS = 30
OF_DAGSTER = "select pid from pg_stat_activity where datname = current_database() and application_name = ''"


@pytest.fixture
def database(make_database: Callable[..., PostgresResource]) -> PostgresResource:
    return make_database()


@pytest.fixture
def instance(database: PostgresResource, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    storage = {
        "hostname": database.host,
        "port": int(database.port),
        "username": database.user,
        "password": database.password,
        "db_name": database.database,
    }
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_db": storage}}}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def report(instance: dg.DagsterInstance, events: int = EVENTS) -> None:
    for n in range(events):
        instance.report_runless_asset_event(dg.AssetMaterialization(["gold", f"table_{n}"]))


def sessions(database: PostgresResource) -> int:
    """How many connections there ever were; a server tells of one a moment after its end."""
    with database.connect() as connection:
        connection.execute("select pg_stat_clear_snapshot()")
        found = connection.execute(
            "select sessions from pg_stat_database where datname = current_database()"
        ).fetchone()
    assert found
    return found[0]


def test_many_events_take_one_connection(instance: dg.DagsterInstance, database: PostgresResource) -> None:
    report(instance, 1)
    before = sessions(database)
    with kept_connections(instance):
        report(instance)
    assert sessions(database) - before < 8
    assert len(instance.get_asset_keys()) == EVENTS


def test_without_it_each_use_takes_one(instance: dg.DagsterInstance, database: PostgresResource) -> None:
    before = sessions(database)
    report(instance)
    assert sessions(database) - before > EVENTS


def _report_and_fail(instance: dg.DagsterInstance, own: object) -> None:
    report(instance, 1)
    assert instance.event_log_storage._engine is not own  # pyright: ignore[reportAttributeAccessIssue]
    raise ZeroDivisionError


def test_nothing_is_kept_afterwards(instance: dg.DagsterInstance, database: PostgresResource) -> None:
    engine = instance.event_log_storage._engine  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ZeroDivisionError), kept_connections(instance):
        _report_and_fail(instance, engine)
    assert instance.event_log_storage._engine is engine  # pyright: ignore[reportAttributeAccessIssue]
    with database.connect() as connection:
        assert connection.execute(OF_DAGSTER.encode()).fetchall() == []
    report(instance)
    assert len(instance.get_asset_keys()) == EVENTS


def test_a_connection_that_was_cut_is_replaced_and_no_event_is_lost(
    instance: dg.DagsterInstance, database: PostgresResource
) -> None:
    with kept_connections(instance):
        report(instance, 1)
        with database.connect() as connection:
            cut = connection.execute(
                f"select count(pg_terminate_backend(pid)) from ({OF_DAGSTER}) s".encode()
            ).fetchone()
        assert cut
        assert cut[0] >= 1
        report(instance)
    assert len(instance.get_asset_keys()) == EVENTS


def test_a_table_that_is_there_is_asked_for_again_afterwards(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    with kept_connections(instance):
        assert not storage.has_table("later")  # pyright: ignore[reportAttributeAccessIssue]
    with storage._connect() as connection:  # pyright: ignore[reportAttributeAccessIssue]
        connection.exec_driver_sql("create table later ()")
    assert storage.has_table("later")  # pyright: ignore[reportAttributeAccessIssue]


def test_an_instance_without_postgres_is_left_as_it_is() -> None:
    with dg.DagsterInstance.ephemeral() as instance, kept_connections(instance):
        report(instance, 2)
        assert len(instance.get_asset_keys()) == 2
