"""`make bench-spatial-scale`: what intake and publishing cost when much has landed before, on MinIO and Postgres.

The sensor is evaluated as the daemon does it, in this process; Dagster's storage is Postgres, as on a cluster. A
million decided manifests lie in the landing zone and in the ledger, and the flood comes on top of them. One of each
sixty thousand of these objects is put; the others are copies, as MinIO keeps them on its disk, of its folder: put one
after the other they would take an hour.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
IDLE_TICKS = 11
FEW, PUBLICATIONS = 10, 41
WRITERS = 16
# ext4 takes 65,000 names of one file.
COPIES = 60_000
LOOKED_AT = 100
BOUNDS = {
    "idle_tick_cpu_s_1m": 0.2,
    "idle_tick_requests_1m": 10,
    "intake_20k_s": 300,
    "publish_ratio_10k_vs_10": 1.5,
    "added_events_kb_a_run": 20,
    "other_location_wait_s": 60,
}


@dataclass(frozen=True)
class Size:
    """How much there is; with less than this, figures are printed and not kept.

    Attributes:
        decided: manifests that were decided before, in the landing zone and in the ledger.
        flood: manifests that come at once.
        commits: batches that a dataset has when publishing another is measured.
    """

    decided: int = 1_000_000
    flood: int = 20_000
    commits: int = 10_000


@dataclass(frozen=True)
class Scene:
    """The stores, and Dagster, that everything is measured on.

    Attributes:
        disk: where MinIO keeps its buckets.
    """

    disk: Path
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
    size = _asked()
    figures: dict[str, float] = {}
    with scene() as made:
        figures["added_events_kb_a_run"] = told("added events", added_events(made))
        figures["publish_ratio_10k_vs_10"] = told("publishing", publish_ratio(made.store, size.commits))
        decide(made, size.decided)
        figures |= told("idle looks", idle(made))
        figures |= told("a flood", flood(made, size.flood))
    figures = {name: round(value, 3) for name, value in figures.items()}
    lines = [[name, figures[name], bound] for name, bound in BOUNDS.items()]
    body = f"{machine()}\n\n{table(['what', 'measured', 'bound'], lines)}\n\n{' '.join((__doc__ or '').split())}"
    print(body)
    if size != Size():
        return
    merge_figures("spatial-scale", figures, {"command": COMMAND, **asdict(size)})
    write_section("Spatial at scale", body)
    missed = [name for name, bound in BOUNDS.items() if figures[name] > bound]
    if missed:
        raise SystemExit(f"beyond its bound: {', '.join(missed)}")


def _asked() -> Size:
    parser = argparse.ArgumentParser(prog=COMMAND, description="Measure intake and publishing after a million batches.")
    for name, number in asdict(Size()).items():
        parser.add_argument(f"--{name}", type=int, default=number)
    return Size(**vars(parser.parse_args()))


def told(what: str, measured: Any) -> Any:
    print(f"{datetime.now(UTC):%H:%M:%S} {what}: {measured}", file=sys.stderr, flush=True)
    return measured


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
            yield Scene(Path(folder, "minio"), store, postgres, LedgerResource(**fields), instance)


def decide(made: Scene, number: int) -> None:
    """So many manifests as they are once they were decided: below `manifests/decided/`, and in the ledger."""
    with made.ledger.open() as ledger:
        ledger._execute(
            "insert into {ledger}.batches (batch_id, dataset, manifest, manifest_sha256, state, run_id, reported_at) "
            "select 'old-' || n, 'places', repeat('x', 400), '', 'published', 'run-' || n, now() "
            "from generate_series(1, %s) n",
            [number],
        )
        ledger._execute("analyze {ledger}.batches")
    landing = made.store.bucket(LANDING_ZONE)
    keys = [f"manifests/decided/old-{at}.json" for at in range(1, number + 1)]
    disk = made.disk / made.store.name(LANDING_ZONE)
    for first in range(0, number, COPIES):
        put(landing, keys[first], json.dumps({"version": 1, "batch_id": "x" * 400}).encode())
        kept = disk / keys[first] / "xl.meta"
        for key in keys[first + 1 : first + COPIES]:
            copy = disk / key
            copy.mkdir()
            os.link(kept, copy / "xl.meta")
    for key in random.Random(0).sample(keys, min(number, LOOKED_AT)):  # noqa: S311
        assert obstore.head(landing, key)["size"] > len("x" * 400)


def idle(made: Scene) -> dict[str, float]:
    """CPU seconds and requests of a look that finds nothing new."""
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


def flood(made: Scene, number: int) -> dict[str, float]:
    """Seconds from the first look to the last batch of a flood in the ledger and reported; and of another's wait."""
    landing = made.store.bucket(LANDING_ZONE)
    put(landing, "batches/shared/places.gpkg", b"x")
    each([f"b-{at:05}" for at in range(number)], lambda batch_id: put_manifest(landing, batch_id, "places"))
    asked: dict[str, float] = {}
    landed: list[float] = []

    def another() -> None:
        """Comes while a look is under way, behind all others by its name."""
        time.sleep(2)
        put_manifest(landing, "zzz-another", "wells")
        landed.append(time.monotonic())

    before = reported(made)
    threading.Thread(target=another, daemon=True).start()
    begun = time.monotonic()
    while told("reported", reported(made) - before) <= number:
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


def publish_ratio(store: ObjectStoreResource, many: int) -> float:
    """How much longer publishing takes with so many batches there than with 10, the two in turn."""
    lake = store.bucket(DATA_LAKE)
    for dataset, count in (("few", FEW), ("many", many)):

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
