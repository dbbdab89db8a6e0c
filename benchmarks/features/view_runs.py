"""`python -m benchmarks.features.view_runs <folder> <pids> <view,view> ...`: a run a list of views.

The first run is of `feast/registry` and is not counted, nor is importing. Prints JSON: for every run the CPU seconds of
this process and of the servers (pids, with commas), rows of the views in Redis, and the process' peak of memory so far.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import dagster as dg

from benchmarks.features.processor import cpu_seconds, forget_peak, peak_mb
from terrane.ownership import Ownership
from terrane.postgres import PostgresResource
from terrane_features.components.lineage import Lineage
from terrane_features.components.online_view import online_view
from terrane_features.components.registry import registry
from terrane_features.components.settings import CheckSettings
from terrane_features.resources import FeastResource, FeatureServer


def main() -> None:
    folder, pids, *runs = sys.argv[1:]
    servers = [int(pid) for pid in pids.split(",")]
    with redirect_stdout(sys.stderr):
        found = [_run(folder, servers, views.split(",")) for views in ["", *runs]]
    print(json.dumps(found[1:]))


def _run(folder: str, servers: list[int], names: list[str]) -> dict[str, float]:
    """One run of these views, or of the registry."""
    feast = FeastResource(repo_path=str(Path(folder)))
    lineage, warehouse = Lineage(Ownership("team:features", "features")), PostgresResource.from_process("WAREHOUSE")
    resources = {"feast": feast, "warehouse": warehouse, "feature_server": FeatureServer()}
    repository = feast.repository()
    if names == [""]:
        assets = [registry(repository, lineage)]
    else:
        views = [repository.view(name) for name in names]
        assets = [online_view(view, CheckSettings(), lineage) for view in views]
        _renew(warehouse, [view.table for view in views if view.table.startswith("gold.small_")])
    forget_peak()
    seconds, cpu, of_servers = time.perf_counter(), time.process_time(), cpu_seconds(servers)
    done = dg.materialize(assets, resources=resources)
    measured = {
        "seconds": time.perf_counter() - seconds,
        "cpu_s": time.process_time() - cpu,
        "servers_cpu_s": cpu_seconds(servers) - of_servers,
        "peak_mb": peak_mb(),
    }
    if names != [""]:
        events = [done.asset_materializations_for_node(f"online__{name}")[0] for name in names]
        measured["keys"] = sum(int(str(event.metadata["keys_in_redis"].value)) for event in events)
    return measured


def _renew(warehouse: PostgresResource, tables: list[str]) -> None:
    """Every row is newer than what is online: each run has all of its table to write."""
    with warehouse.connect() as connection:
        for table in tables:
            statement = f"update {table} set event_timestamp = event_timestamp + interval '1 s'"  # noqa: S608
            connection.execute(statement.encode())


if __name__ == "__main__":
    main()
