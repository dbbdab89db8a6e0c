"""The schema of a run: it is the run's alone, and it goes when the run does, also after kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg
import psycopg
import pytest
from spatial_platform import Platform

from terrane import names
from terrane.object_store import LANDING_ZONE
from terrane_spatial.publishing.postgis_export import join_run
from terrane_spatial.runs import run_schema

if TYPE_CHECKING:
    from terrane_dev.testing import PostgresServer

pytestmark = pytest.mark.integration

HOLDER = """
import json, sys, time
from terrane_spatial.runs import run_schema
from terrane_spatial.publishing.postgis_export import join_run
from terrane import names
from terrane.object_store import LANDING_ZONE
from terrane.postgres import PostgresResource
where = json.load(sys.stdin)
with run_schema.connect(PostgresResource(**where["postgres"]), where["run_id"]) as connection:
    run_schema.create(connection, where["run_id"], where["platform"])
    connection.execute("create unlogged table big as select generate_series(1, 100000) as n")
    print("ready", flush=True)
    time.sleep(120)
"""


def hold(platform: Platform, run_id: str) -> subprocess.Popen[str]:
    """A process of the run, in its schema."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    fields = platform.compute.model_dump(include={"host", "port", "user", "password", "database"})
    process.stdin.write(json.dumps({"postgres": fields, "run_id": run_id, "platform": platform.identity}))
    process.stdin.close()
    assert process.stdout.readline() == "ready\n"
    return process


def test_the_schema_of_a_run_that_was_killed_is_swept_and_that_of_a_live_one_is_not(platform: Platform) -> None:
    run_id = str(uuid.uuid4())
    process = hold(platform, run_id)
    try:
        platform.sweep()
        assert platform.schemas() == [run_schema.schema_of(run_id)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        _wait_until_swept(platform)
    finally:
        process.kill()
        process.wait()


def test_the_schema_of_a_run_that_dagster_has_under_way_is_left_between_its_steps(platform: Platform) -> None:
    run = _add_run(platform, dg.DagsterRunStatus.STARTED)
    with run_schema.connect(platform.compute, run) as connection:
        run_schema.create(connection, run, platform.identity)
    platform.sweep()
    assert platform.schemas() == [run_schema.schema_of(run)]


def test_the_schema_of_a_finished_run_is_swept_with_any_number_of_tables(platform: Platform) -> None:
    run = _add_run(platform, dg.DagsterRunStatus.FAILURE)
    with run_schema.connect(platform.compute, run) as connection:
        run_schema.create(connection, run, platform.identity)
        for number in range(200):
            connection.execute(f'create table "t""{number}" (a int)'.encode())
    platform.sweep()
    assert platform.schemas() == []


@pytest.mark.parametrize(("one", "other"), [("", "staging"), ("staging", ""), ("staging", "dev")])
def test_the_sweeper_leaves_the_schemas_of_other_environments(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, one: str, other: str
) -> None:
    monkeypatch.setenv("TERRANE_ENVIRONMENT", one)
    run_id = str(uuid.uuid4())
    with run_schema.connect(platform.compute, run_id) as connection:
        run_schema.create(connection, run_id, platform.identity)
    left = platform.schemas()
    monkeypatch.setenv("TERRANE_ENVIRONMENT", other)
    platform.sweep()
    assert platform.schemas() == left == [names.Names(one).run_schema(run_id)]
    monkeypatch.setenv("TERRANE_ENVIRONMENT", one)
    _wait_until_swept(platform)


def test_a_batch_is_known_in_its_environment_alone(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "staging")
    platform.put_sample("of-staging")
    assert [request.run_key for request in platform.requests()] == ["of-staging"]
    monkeypatch.delenv("TERRANE_ENVIRONMENT")
    assert platform.requests() == []
    assert platform.batch("of-staging") is None
    assert platform.store.name(LANDING_ZONE) == "landing-zone"


def test_a_batch_whose_run_ended_without_a_word_is_closed_in_the_ledger(platform: Platform) -> None:
    platform.put_sample("silent")
    (request,) = platform.requests()
    run = _add_run(platform, dg.DagsterRunStatus.STARTED, {**request.tags, "dagster/partition": "silent"})
    assert platform.requests() == []
    platform.sweep()
    batch = platform.batch("silent")
    assert batch
    assert (batch.state, batch.run_id) == ("accepted", run)

    platform.instance.report_run_failed(_run(platform, run))
    platform.sweep()

    batch = platform.batch("silent")
    assert batch
    assert batch.state == "failed"
    assert "ended without saying why" in batch.reasons[0]
    assert platform.run(request).success


def test_a_connection_of_a_run_sees_its_schema_first_and_is_bounded_in_time(platform: Platform) -> None:
    run_id = str(uuid.uuid4())
    with run_schema.connect(platform.compute, run_id) as connection:
        assert connection.execute("show statement_timeout").fetchone() == ("1h",)
        assert connection.execute("show search_path").fetchone() == (f"{run_schema.schema_of(run_id)}, public",)
        assert run_schema.stages(connection) == {}


def test_the_connection_that_exports_holds_the_lock_as_well(platform: Platform) -> None:
    from adbc_driver_postgresql import dbapi

    run_id = str(uuid.uuid4())
    with run_schema.connect(platform.compute, run_id) as connection:
        run_schema.create(connection, run_id, platform.identity)
    with dbapi.connect(platform.compute.uri(), autocommit=True) as connection, connection.cursor() as cursor:
        join_run(cursor, run_id)
        platform.sweep()
        assert platform.schemas() == [run_schema.schema_of(run_id)]
        cursor.execute("select count(*) from _stages")
        assert cursor.fetchall() == [(0,)]
    _wait_until_swept(platform)


def _wait_until_swept(platform: Platform) -> None:
    _wait_until(lambda: not (platform.sweep() or platform.schemas()))


def _wait_until(condition: Callable[[], bool]) -> None:
    """A server notices after a moment that a client is gone."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline


def test_schema_and_run_are_names_for_each_other() -> None:
    run_id = str(uuid.uuid4())
    assert run_schema.run_of(run_schema.schema_of(run_id)) == run_id


def _add_run(platform: Platform, status: dg.DagsterRunStatus, tags: dict[str, str] | None = None) -> str:
    job = platform.definitions.get_implicit_global_asset_job_def()
    return platform.instance.create_run_for_job(job, status=status, tags=tags or {}).run_id


def _run(platform: Platform, run_id: str) -> dg.DagsterRun:
    run = platform.instance.get_run_by_id(run_id)
    assert run
    return run


def test_the_sweeper_leaves_schemas_that_do_not_carry_this_platform_s_mark(platform: Platform) -> None:
    """Another platform's runs on the same database, and a schema of somebody's that is called as a run's."""
    theirs, somebody_s = str(uuid.uuid4()), str(uuid.uuid4())
    with run_schema.connect(platform.compute, theirs) as connection:
        run_schema.create(connection, theirs, "another platform")
        connection.execute(f'create schema "{run_schema.schema_of(somebody_s)}"'.encode())
    platform.sweep()
    assert sorted(platform.schemas()) == sorted(map(run_schema.schema_of, (theirs, somebody_s)))


def test_a_schema_that_may_not_be_dropped_stops_the_sweep_of_no_other(
    platform: Platform, postgres_server: PostgresServer
) -> None:
    first, second = sorted(str(uuid.uuid4()) for _ in range(2))
    for run_id in (first, second):
        with run_schema.connect(platform.compute, run_id) as connection:
            run_schema.create(connection, run_id, platform.identity)
    with psycopg.connect(
        host="127.0.0.1",
        port=postgres_server.port,
        user="postgres",
        password=postgres_server.password,
        dbname=platform.compute.database,
        autocommit=True,
    ) as superuser:
        superuser.execute(f'alter schema "{run_schema.schema_of(first)}" owner to postgres'.encode())
    _wait_until(lambda: not (platform.sweep() or len(platform.schemas()) > 1))
    assert platform.schemas() == [run_schema.schema_of(first)]


def test_a_cancelled_run_closes_its_batch_at_once_also_when_it_never_began(platform: Platform) -> None:
    platform.put_sample("cancelled")
    (request,) = platform.requests()
    job = platform.definitions.get_implicit_global_asset_job_def()
    selection = frozenset([dg.AssetKey(["data_lake", "places"])])
    tags = {**request.tags, "dagster/partition": "cancelled"}
    run = platform.instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.NOT_STARTED, tags=tags, asset_selection=selection
    )
    platform.instance.report_run_canceled(run)
    platform.run_ended(run.run_id)
    batch = platform.batch("cancelled")
    assert batch
    assert (batch.state, batch.run_id) == ("failed", run.run_id)
    assert "was cancelled" in batch.reasons[0]


def test_a_run_of_another_asset_whose_partition_is_called_as_a_batch_closes_none(platform: Platform) -> None:
    platform.put_sample("2026-01-01")
    platform.requests()
    job = platform.definitions.get_implicit_global_asset_job_def()
    run = platform.instance.create_run_for_job(
        job,
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": "2026-01-01"},
        asset_selection=frozenset([dg.AssetKey(["stac", "places"])]),
    )
    platform.instance.report_run_failed(run)
    platform.run_ended(run.run_id)
    batch = platform.batch("2026-01-01")
    assert batch
    assert batch.state == "accepted"
