"""`make bench-spatial-scale`: what intake and publishing cost when much has landed before, on MinIO and Postgres.

The sensor is evaluated as the daemon does it, in this process; Dagster's storage is Postgres, as on a cluster. How many
decided manifests lie in the landing zone, and how many the ledger has, is told beside the figures.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import obstore
from dagster._serdes import serialize_value

from benchmarks.report import ROOT, machine, merge_figures, table, write_section
from benchmarks.spatial import server
from benchmarks.spatial.counting_proxy import counted
from terrane.object_store import DATA_LAKE, LANDING_ZONE, ObjectStoreResource
from terrane.object_store.buckets import ensure_buckets
from terrane.postgres import PostgresResource
from terrane.publishing import Commit, commit_key, publish
from terrane_dev.testing import running_minio
from terrane_spatial.intake.ledger import LedgerResource
from terrane_spatial.intake.sensor import manifests
from terrane_spatial.runs.names import batches_of, published

COMMAND = "make bench-spatial-scale"
DECIDED_ROWS, DECIDED_OBJECTS = 1_000_000, 100_000
IDLE_TICKS = 11
FLOOD = 20_000
FEW, MANY, PUBLICATIONS = 10, 10_000, 41
WRITERS = 16
BOUNDS = {
    "idle_tick_cpu_s_1m": 0.2,
    "idle_tick_requests_1m": 10,
    "intake_20k_s": 300,
    "publish_ratio_10k_vs_10": 1.5,
    "added_events_kb_a_run": 20,
    "other_location_wait_s": 60,
}


@dataclass(frozen=True)
class Scene:
    """The stores, and Dagster, that everything is measured on."""

    store: ObjectStoreResource
    postgres: PostgresResource
    ledger: LedgerResource
    instance: dg.DagsterInstance

    def tick(self, store: ObjectStoreResource | None = None) -> dg.SensorResult | dg.SkipReason:
        resources = {"store": store or self.store, "ledger": self.ledger}
        context = dg.build_sensor_context(instance=self.instance, definitions=stand_ins(), resources=resources)
        result: Any = manifests(context)
        return result


def stand_ins() -> dg.Definitions:
    """Two datasets, as the sensor knows them: by the keys of their assets."""

    def asset(dataset: str) -> dg.AssetsDefinition:
        @dg.asset(key=published(dataset), partitions_def=batches_of(dataset))
        def made() -> None: ...

        return made

    return dg.Definitions(assets=[asset("places"), asset("wells")])


def main() -> None:
    figures: dict[str, float] = {}
    with scene() as made:
        figures["added_events_kb_a_run"] = added_events(made)
        figures["publish_ratio_10k_vs_10"] = publish_ratio(made.store)
        figures |= flood(made)
        figures |= idle(made)
    figures = {name: round(value, 3) for name, value in figures.items()}
    how = {"command": COMMAND, "decided_manifests": DECIDED_OBJECTS, "decided_in_ledger": DECIDED_ROWS}
    merge_figures("spatial-scale", figures, how)
    lines = [[name, figures[name], bound] for name, bound in BOUNDS.items()]
    body = f"{machine()}\n\n{table(['what', 'measured', 'bound'], lines)}\n\n{' '.join((__doc__ or '').split())}"
    write_section("Spatial at scale", body)
    print(body)
    missed = [name for name, bound in BOUNDS.items() if figures[name] > bound]
    if missed:
        raise SystemExit(f"beyond its bound: {', '.join(missed)}")


@contextmanager
def scene() -> Iterator[Scene]:
    with (
        tempfile.TemporaryDirectory(prefix="terrane-bench-scale-") as folder,
        server.running() as postgres,
        running_minio(Path(folder, "minio"), Path(folder, "minio.log")) as store,
    ):
        ensure_buckets(store)
        fields = postgres.model_dump(include={"host", "port", "user", "password", "database"})
        home = Path(folder, "home")
        home.mkdir()
        settings = {
            "username": postgres.user,
            "password": postgres.password,
            "hostname": postgres.host,
            "port": int(postgres.port),
            "db_name": postgres.database,
        }
        (home / "dagster.yaml").write_text(json.dumps({"storage": {"postgres": {"postgres_db": settings}}}))
        os.environ["DAGSTER_HOME"] = str(home)
        with dg.DagsterInstance.get() as instance:
            yield Scene(store, postgres, LedgerResource(**fields), instance)


def idle(made: Scene) -> dict[str, float]:
    """CPU seconds and requests of a look that finds nothing new, with a million manifests decided before."""
    with made.ledger.open() as ledger:
        ledger._execute(
            "insert into {ledger}.batches (batch_id, dataset, manifest, manifest_sha256, state, run_id, reported_at) "
            "select 'old-' || n, 'places', repeat('x', 400), '', 'published', 'run-' || n, now() "
            "from generate_series(1, %s) n",
            [DECIDED_ROWS],
        )
    landing = made.store.bucket(LANDING_ZONE)
    each(
        [f"manifests/decided/old-{number}.json" for number in range(DECIDED_OBJECTS)], lambda k: put(landing, k, b"{}")
    )
    with made.ledger.open() as ledger:
        ledger._execute("update {ledger}.batches set state = 'published' where state = 'accepted'")
    made.tick()
    spent = []
    for _ in range(IDLE_TICKS):
        begun = time.process_time()
        assert isinstance(made.tick(), dg.SkipReason)
        spent.append(time.process_time() - begun)
    with counted(made.store) as (proxied, requests):
        assert isinstance(made.tick(proxied), dg.SkipReason)
        number = requests()
    return {"idle_tick_cpu_s_1m": statistics.median(spent), "idle_tick_requests_1m": number}


def flood(made: Scene) -> dict[str, float]:
    """Seconds from the first look to the last of 20,000 batches in the ledger and reported; and of another's wait."""
    landing = made.store.bucket(LANDING_ZONE)
    put(landing, "batches/shared/places.gpkg", b"x")
    each([f"b-{number:05}" for number in range(FLOOD)], lambda batch_id: put_manifest(landing, batch_id, "places"))
    asked: dict[str, float] = {}
    landed: list[float] = []

    def another() -> None:
        """Comes while a look is under way, behind all others by its name."""
        time.sleep(2)
        put_manifest(landing, "zzz-another", "wells")
        landed.append(time.monotonic())

    threading.Thread(target=another, daemon=True).start()
    begun = time.monotonic()
    while reported(made) < FLOOD + 1:
        result = made.tick()
        now = time.monotonic()
        if isinstance(result, dg.SensorResult):
            asked |= {str(r.partition_key): now for r in result.run_requests or () if str(r.partition_key) not in asked}
    seconds = time.monotonic() - begun
    return {"intake_20k_s": seconds, "other_location_wait_s": asked["zzz-another"] - landed[0]}


def reported(made: Scene) -> int:
    with made.ledger.open() as ledger:
        row = ledger._execute("select count(*) from {ledger}.batches where reported_at is not null").fetchone()
    return row[0] if row else 0


def publish_ratio(store: ObjectStoreResource) -> float:
    """How much longer publishing takes with 10,000 batches there than with 10, the two in turn."""
    lake = store.bucket(DATA_LAKE)
    for dataset, count in (("few", FEW), ("many", MANY)):

        def commit(number: int, dataset: str = dataset) -> None:
            batch_id, moment = f"b-{number:06}", datetime.now(UTC).isoformat()
            made = Commit(dataset, batch_id, "run", moment, (), {"rows": {}}, token=f"{number:032x}")
            put(lake, commit_key(dataset, batch_id), made.to_json())

        each(range(count), commit)
        publish(lake, dataset, "first", "run", {"a": b"x"})
    spent: dict[str, list[float]] = {"few": [], "many": []}
    for number in range(PUBLICATIONS):
        for dataset, times in spent.items():
            begun = time.monotonic()
            publish(lake, dataset, f"new-{number}", "run", {"a.parquet": b"x" * 1000, "item.json": b"{}"})
            times.append(time.monotonic() - begun)
    return statistics.median(spent["many"]) / statistics.median(spent["few"])


def added_events(made: Scene) -> float:
    """Kilobytes that a run of the sample adds to Dagster's events: its lines, observations, checks and metadata."""
    sys.path.insert(0, str(ROOT / "libs/terrane_spatial/tests/support"))
    from spatial_platform import Platform

    with made.postgres.connect(autocommit=True) as connection:
        connection.execute("create extension if not exists postgis")
    platform = Platform(made.store, made.postgres, made.ledger, made.instance)
    platform.put_sample()
    result = platform.run_next()
    assert result.success
    kinds = ("ASSET_MATERIALIZATION", "ASSET_OBSERVATION", "ASSET_CHECK_EVALUATION")
    entries = made.instance.all_logs(result.run_id)
    ours = [e for e in entries if not e.dagster_event or e.dagster_event.event_type_value in kinds]
    return sum(len(serialize_value(entry)) for entry in ours) / 1000


def put(bucket: Any, key: str, content: bytes) -> None:
    obstore.put(bucket, key, content, use_multipart=False)


def put_manifest(landing: Any, batch_id: str, dataset: str) -> None:
    file = {"key": "batches/shared/places.gpkg", "size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    manifest = {"version": 1, "batch_id": batch_id, "dataset": dataset, "files": [file]}
    put(landing, f"manifests/{batch_id}.json", json.dumps(manifest).encode())


def each(items: Any, work: Any) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(work, items):
            pass


if __name__ == "__main__":
    main()
