"""What is recorded of many batches together is what Dagster records of each, in the storage that a cluster has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import event

from terrane.postgres import PostgresResource
from terrane_spatial.intake.reporting import record_together

pytestmark = pytest.mark.integration

ONE_BY_ONE, TOGETHER = dg.AssetKey(["landing_zone", "one_by_one"]), dg.AssetKey(["landing_zone", "together"])
BATCHES = ["b-1", "b-2", "b-3"]
CHANGING = {"storage_id", "timestamp", "run_id"}


@pytest.fixture
def instance(make_database: Callable[..., PostgresResource], tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    database = make_database()
    settings = {
        "username": database.user,
        "password": database.password,
        "hostname": database.host,
        "port": int(database.port),
        "db_name": database.database,
    }
    (tmp_path / "dagster.yaml").write_text(json.dumps({"storage": {"postgres": {"postgres_db": settings}}}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def landed(key: dg.AssetKey) -> list[dg.AssetMaterialization]:
    return [dg.AssetMaterialization(key, metadata={"bytes": at}, partition=name) for at, name in enumerate(BATCHES)]


def recorded(instance: dg.DagsterInstance, key: dg.AssetKey) -> list[Any]:
    """The asset's events as anybody reads them, but for what is each event's own."""
    found = instance.fetch_materializations(key, limit=10, ascending=True).records
    entries = [record.event_log_entry for record in found]
    assert all(entry.timestamp > 1e9 for entry in entries)
    bare = dg.AssetKey(["x"])
    return [
        entry._replace(
            timestamp=0,
            dagster_event=entry.get_dagster_event()._replace(
                event_specific_data=entry.get_dagster_event().event_specific_data._replace(  # type: ignore[union-attr]
                    materialization=entry.asset_materialization._replace(asset_key=bare)  # type: ignore[union-attr]
                )
            ),
        )
        for entry in entries
    ]


def test_events_partitions_and_the_asset_are_the_same_as_one_by_one(instance: dg.DagsterInstance) -> None:
    for materialization in landed(ONE_BY_ONE):
        instance.report_runless_asset_event(materialization)
    record_together(instance, landed(TOGETHER))
    assert recorded(instance, TOGETHER) == recorded(instance, ONE_BY_ONE)
    assert len(recorded(instance, TOGETHER)) == len(BATCHES)
    assert instance.get_materialized_partitions(TOGETHER) == set(BATCHES)
    last = instance.get_latest_materialization_event(TOGETHER)
    assert last
    assert last.asset_materialization
    assert last.asset_materialization.partition == "b-3"
    assert set(instance.get_asset_keys()) == {ONE_BY_ONE, TOGETHER}


def test_many_take_as_few_connections_as_one(instance: dg.DagsterInstance) -> None:
    opened: list[int] = []
    engine = instance.event_log_storage._engine  # type: ignore[attr-defined]
    event.listen(engine, "connect", lambda *_: opened.append(1))
    record_together(instance, landed(TOGETHER))
    assert 0 < len(opened) <= 4
