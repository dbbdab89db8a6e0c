"""`python -m benchmarks.environments.story <location> <round>`: a location's part of the story, in one environment.

Run by the interpreter of the location, with the variables that a run of it has. The second round does what takes away:
it sweeps, prunes, applies a repository from which a view is gone, and writes everything else once more.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import dagster as dg

# The same in both environments: a name that is not the environment's own would meet the other's.
DAYS = (("2026-01-01", "2026-01-02"), ("2026-01-03", "2026-01-03"))
SAMPLES = Path(__file__).parents[2] / "samples/natural_earth"


def spatial(again: bool) -> None:
    """Delivers a batch, takes it in, loads, transforms, publishes it, and sweeps; a run is left between two steps."""
    from spatial.definitions import defs
    from terrane.object_store import LANDING_ZONE, ObjectStoreResource
    from terrane.postgres import PostgresResource
    from terrane_spatial.intake.ledger import LedgerResource
    from terrane_spatial.runs import run_schema

    store, compute = (
        ObjectStoreResource(endpoint=os.environ["MINIO_ENDPOINT"]),
        PostgresResource.from_process("POSTGRES"),
    )
    ledger = LedgerResource(**{**compute.model_dump(), "database": os.environ["POSTGRES_LEDGER_DB"]})
    resources = {"store": store, "compute": compute, "ledger": ledger}
    _deliver(store.bucket(LANDING_ZONE), f"places-{2 if again else 1}")
    definitions = defs()
    with dg.DagsterInstance.get() as instance:
        (request,) = _evaluate(definitions, instance, "manifests", resources)
        keys = [key.to_user_string() for key in request.asset_selection]
        _run(definitions, instance, *keys, tags=request.tags, partition=request.partition_key)
        with ledger.open() as opened:
            platform = opened.platform()
        for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE):
            job = definitions.resolve_implicit_global_asset_job_def()
            left = instance.create_run_for_job(job, status=status, run_id=str(uuid.uuid4())).run_id
            with run_schema.connect(compute, left) as connection:
                run_schema.create(connection, left, platform)
        for job in ("sweeper", "places_retention"):
            definitions.resolve_job_def(job).execute_in_process(instance=instance)


def analytics(again: bool) -> None:
    """Ingests days, builds with dbt, exports; the second time all exports but the newest go."""
    from analytics.definitions import defs
    from terrane.object_store import DATA_LAKE, ObjectStoreResource
    from terrane.publishing import Retention, collect, prune

    first, last = DAYS[again]
    days = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    definitions, export = defs(), "exports/user_journal_features"
    models = [s.key.to_user_string() for s in definitions.resolve_all_asset_specs() if "dbt" in s.kinds]
    with dg.DagsterInstance.get() as instance:
        _run(definitions, instance, "raw/users", "raw/journal_entries", tags=days)
        _run(definitions, instance, "raw/game_types", "raw/places", *models, export)
    if again:
        lake = ObjectStoreResource(endpoint=os.environ["MINIO_ENDPOINT"]).bucket(DATA_LAKE)
        if len(prune(lake, export, Retention(batches=1))) != 1:
            raise RuntimeError("the export of the first round was not there to be pruned")
        collect(lake, export)


def features(again: bool) -> None:
    """Applies the definitions and materialises every view; the second time a view is gone, and its values go."""
    from features.definitions import defs

    allowed = {"ops": {"feast__registry": {"config": {"allow_deletions": True}}}}
    definitions = defs()
    views = [s.key.to_user_string() for s in definitions.resolve_all_asset_specs() if s.key.path[0] == "online"]
    if len(views) != (1 if again else 2):
        raise RuntimeError(f"the repository declares {views}")
    with dg.DagsterInstance.get() as instance:
        _run(definitions, instance, "feast/registry", *views, config=allowed if again else {})


def _deliver(landing_zone: Any, batch_id: str) -> None:
    import obstore

    files = []
    for name in ("countries.gpkg", "places.zip"):
        content, key = (SAMPLES / name).read_bytes(), f"batches/{batch_id}/{name}"
        obstore.put(landing_zone, key, content)
        files.append({"key": key, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    manifest = {"version": 1, "batch_id": batch_id, "dataset": "places", "files": files}
    obstore.put(landing_zone, f"manifests/{batch_id}.json", json.dumps(manifest).encode())


def _evaluate(
    definitions: dg.Definitions, instance: dg.DagsterInstance, name: str, resources: dict[str, Any]
) -> list[Any]:
    """The runs that one evaluation of a sensor asks for; the partitions that it adds are there then."""
    sensor = definitions.get_repository_def().get_sensor_def(name)
    wanted = {key: resources[key] for key in sensor.required_resource_keys}
    result = sensor(dg.build_sensor_context(instance=instance, definitions=definitions, resources=wanted))
    if not isinstance(result, dg.SensorResult):
        return []
    for added in result.dynamic_partitions_requests or []:
        instance.add_dynamic_partitions(added.partitions_def_name, list(added.partition_keys))
    return list(result.run_requests or [])


def _run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    *keys: str,
    config: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
    partition: str | None = None,
) -> None:
    """One run of the assets with their checks. Raises what its first failed step raised."""
    definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey.from_user_string(key) for key in keys],
        run_config=config or {},
        tags=tags or {},
        partition_key=partition,
    )


if __name__ == "__main__":
    {"spatial": spatial, "analytics": analytics, "features": features}[sys.argv[1]](sys.argv[2] == "second")
