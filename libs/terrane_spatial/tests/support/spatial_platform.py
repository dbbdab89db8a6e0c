"""What tests of the location share: the location on stores of a test's own, as the daemon and the launcher drive it."""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components.testing import create_defs_folder_sandbox

from terrane.executors import executor_from_env
from terrane.object_store import DATA_LAKE, LANDING_ZONE, ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane_spatial.intake.accept import Desk, take_in
from terrane_spatial.intake.ledger import Batch, LedgerResource
from terrane_spatial.intake.sensor import manifests
from terrane_spatial.publishing import stac_index
from terrane_spatial.runs.names import batches_of, published
from terrane_spatial.runs.sweeper import cancelled_runs, failed_runs, sweeper, sweeps

SAMPLES = Path(__file__).parents[4] / "samples" / "natural_earth"
# The dataset that tests run: its YAML and SQL.
PLACES = Path(__file__).parents[1] / "places"


@cache
def defs() -> dg.Definitions:
    """The definitions of a location with the dataset `places` alone, whose files stay until the process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    sandbox = stack.enter_context(create_defs_folder_sandbox())
    path = sandbox.defs_folder_path / "places"
    shutil.copytree(PLACES, path)
    _, declared = stack.enter_context(sandbox.load_component_and_build_defs(defs_path=path))
    resources = {
        "store": ObjectStoreResource.from_env(),
        "compute": PostgresResource.from_env("POSTGRES"),
        "ledger": LedgerResource.from_env("POSTGRES", database="LEDGER_DB"),
    }
    automation = {"sensors": [manifests, failed_runs, cancelled_runs], "jobs": [sweeper], "schedules": [sweeps]}
    shared = dg.Definitions(**automation, resources=resources, executor=executor_from_env())
    return dg.Definitions.merge(declared, shared)


@dataclass
class Platform:
    """The location on stores of its own: puts batches, evaluates the sensors, launches what they ask for."""

    store: ObjectStoreResource
    compute: PostgresResource
    ledger: LedgerResource
    instance: dg.DagsterInstance
    cursor: str | None = None

    @property
    def identity(self) -> str:
        """What marks the platform's own schemas."""
        with self.ledger.open() as ledger:
            return ledger.platform()

    @property
    def landing(self) -> Any:
        return self.store.bucket(LANDING_ZONE)

    @property
    def lake(self) -> Any:
        return self.store.bucket(DATA_LAKE)

    @property
    def definitions(self) -> dg.Definitions:
        resources = {"store": self.store, "compute": self.compute, "ledger": self.ledger}
        return dg.Definitions.merge(_without_resources(), dg.Definitions(resources=resources))

    def put(self, batch_id: str, contents: dict[str, bytes], /, **changes: Any) -> dict[str, Any]:
        """Puts the contents under their names, then a manifest of them; `changes` replace fields of the manifest."""
        import obstore

        entries = []
        for name, content in contents.items():
            key = f"batches/{batch_id}/{name}"
            obstore.put(self.landing, key, content)
            entries.append({"key": key, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
        manifest = {"version": 1, "batch_id": batch_id, "dataset": "places", "files": entries, **changes}
        self.put_manifest(batch_id, json.dumps(manifest).encode())
        return manifest

    def put_manifest(self, batch_id: str, content: bytes) -> None:
        import obstore

        obstore.put(self.landing, f"manifests/{batch_id}.json", content)

    def put_sample(self, batch_id: str = "natural-earth-1", **changes: Any) -> dict[str, Any]:
        return self.put(batch_id, sample_files(), **changes)

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        """Evaluates the sensor `manifests` once, as the daemon does, its cursor included."""
        definitions = self.definitions
        sensor = definitions.get_sensor_def("manifests")
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=definitions,
            resources={"store": self.store, "ledger": self.ledger},
        )
        result = sensor(context)
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor or self.cursor
        assert isinstance(result, dg.SensorResult | dg.SkipReason)
        return result

    def requests(self) -> list[dg.RunRequest]:
        """The runs that one evaluation of the sensor asks for, whose partitions are there then."""
        result = self.tick()
        if not isinstance(result, dg.SensorResult):
            return []
        for added in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(added.partitions_def_name, list(added.partition_keys))
        return list(result.run_requests or [])

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Launches the run that the sensor asked for, in this process."""
        job = self.definitions.get_implicit_global_asset_job_def()
        return job.execute_in_process(
            run_config=request.run_config,
            instance=self.instance,
            partition_key=request.partition_key,
            tags={**request.tags, "dagster/run_key": request.run_key or ""},
            asset_selection=list(request.asset_selection or []),
            raise_on_error=False,
        )

    def run_batch(
        self, definitions: dg.Definitions, dataset: str, batch_id: str, files: dict[str, bytes]
    ) -> dg.ExecuteInProcessResult:
        """Puts a batch of another dataset, takes it in, and runs the dataset on it."""
        if files:
            self.put(batch_id, files, dataset=dataset)
        with self.ledger.open() as ledger:
            take_in(Desk(self.landing, ledger, {dataset}))
        resources = {"store": self.store, "compute": self.compute, "ledger": self.ledger}
        whole = dg.Definitions.merge(definitions, dg.Definitions(resources=resources))
        self.instance.add_dynamic_partitions(str(batches_of(dataset).name), [batch_id])
        job = whole.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            partition_key=batch_id,
            asset_selection=[published(dataset)],
            raise_on_error=False,
        )

    def index(self, dataset: str = "places") -> int:
        """Makes the dataset's index, as its asset does."""
        return stac_index.refresh(self.lake, dataset, "About it.")

    def run_next(self) -> dg.ExecuteInProcessResult:
        """Evaluates the sensor, which must ask for one run, and launches it."""
        (request,) = self.requests()
        return self.run(request)

    def sweep(self) -> None:
        """Runs the job `sweeper` once."""
        resources = {"compute": self.compute, "ledger": self.ledger, "store": self.store}
        assert sweeper.execute_in_process(instance=self.instance, resources=resources).success

    def run_ended(self, run_id: str) -> None:
        """Evaluates the sensor that hears of the failed or cancelled run."""
        run = self.instance.get_run_by_id(run_id)
        assert run
        sensor = failed_runs if run.status == dg.DagsterRunStatus.FAILURE else cancelled_runs
        event = self.instance.all_logs(run_id)[-1].dagster_event
        assert event
        context = dg.build_run_status_sensor_context(
            sensor.name, event, self.instance, run, resources={"ledger": self.ledger}
        )
        sensor(context)

    def batch(self, batch_id: str) -> Batch | None:
        with self.ledger.open() as ledger:
            return ledger.get(batch_id)

    def marker(self, batch_id: str) -> dict[str, Any] | None:
        import obstore

        try:
            return json.loads(bytes(obstore.get(self.landing, f"manifests/{batch_id}.rejected.json").bytes()))
        except FileNotFoundError:
            return None

    def schemas(self) -> list[str]:
        """The schemas of runs that are there."""
        with self.compute.connect() as connection:
            rows = connection.execute("select nspname from pg_namespace where nspname like 'run\\_%'").fetchall()
        return [name for (name,) in rows]

    def published(self) -> list[str]:
        """The keys of everything in the lake."""
        import obstore

        return sorted(str(o["path"]) for page in obstore.list(self.lake) for o in page)


def sample_files() -> dict[str, bytes]:
    return {name: (SAMPLES / name).read_bytes() for name in ("countries.gpkg", "places.zip")}


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step said."""
    (event,) = [e for e in result.all_events if e.is_step_failure]
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    assert data.error
    return data.error.message


def _without_resources() -> dg.Definitions:
    """The location's definitions, read once, without the resources that read the environment."""
    global _loaded
    if _loaded is None:
        whole = defs()
        _loaded = dg.Definitions(
            assets=whole.assets,
            sensors=whole.sensors,
            jobs=whole.jobs,
            executor=whole.executor,
            asset_checks=whole.asset_checks,
        )
    return _loaded


_loaded: dg.Definitions | None = None


def job_in_processes() -> dg.JobDefinition:
    """A job of the location's assets with a process for each step."""
    return _job(dg.multiprocess_executor)


def job_in_one_process() -> dg.JobDefinition:
    """A job of the location's assets as it is run by default."""
    return _job(dg.in_process_executor)


def _job(executor: dg.ExecutorDefinition) -> dg.JobDefinition:
    whole, job = defs(), dg.define_asset_job("places_job", ["data_lake/places"])
    made = dg.Definitions(assets=whole.assets, resources=whole.resources, jobs=[job], executor=executor)
    return made.resolve_job_def(job.name)
