"""How long the platform on a local cluster takes: `make bench-platform`, COLD=1 for the one of nothing cached as well.

On a cluster of its own, which is deleted afterwards. Figures go to benchmarks/results/platform.json, each with the load
of the machine before it: on a machine that others use they say little.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import time

os.environ.setdefault("TERRANE_CLUSTER", "terrane-bench")

from tests.cluster.platform import Cluster, description_of_places, ping, skaffold_dev, until

from benchmarks.report import merge_figures
from terrane_cli.commands import run
from terrane_cli.project import Project

EMPTY_RUNS, CHANGES = 10, 5
IDLE_S, IDLE_TIMEOUT_S = 60, 600
UNDER_WAY = """query { runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}, limit: 1) {
  ... on Runs { results { runId } } } }"""
PARTS = ("table", "runs", "changes")
COMMAND = "make bench-platform"
TOOK = re.compile(r"From the command to the table:\s+(\d+) s\s+\([^)]*\)")
DESCRIPTION = "Populated places of the world"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", action="store_true", help="forget what the engine built, first")
    parser.add_argument("--rounds", type=int, default=3, help="clusters made, of each kind")
    parser.add_argument("--only", choices=PARTS, nargs="*", default=PARTS, help="these figures alone")
    parser.add_argument("--keep", action="store_true", help="leave the cluster")
    options = parser.parse_args()
    cluster = Cluster(Project.here(), "", -1, 0)
    if options.cold:
        seconds, load = [], _load()
        for _ in range(options.rounds):
            cluster.terrane("down")
            _forget_what_was_built()
            seconds.append(_to_table(cluster))
        _note("cluster_to_table_cold_s", seconds, load, f"{COMMAND} COLD=1")
    elif "table" in options.only:
        # Builds what is not built.
        _to_table(cluster)
    if "table" in options.only:
        seconds, load = [], _load()
        for _ in range(options.rounds):
            cluster.terrane("down")
            seconds.append(_to_table(cluster))
        _note("cluster_to_table_s", seconds, load)
    if "runs" in options.only:
        _until_idle(cluster)
        load = _load()
        _note("empty_run_s", [ping(cluster, "spatial") for _ in range(EMPTY_RUNS)], load)
    if "changes" in options.only:
        load = _load()
        _note("code_change_to_reload_s", _changes(cluster), load)
    if not options.keep:
        cluster.terrane("down")
    return 0


def _to_table(cluster: Cluster) -> float:
    """Seconds of `make cluster ONCE=1`, from the command to the table."""
    done = cluster.terrane("up", "--once")
    took = TOOK.search(done.stdout)
    if done.returncode or not took:
        sys.exit(f"the cluster did not come to its table:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    print(took[0], flush=True)
    return float(took[1])


def _until_idle(cluster: Cluster) -> None:
    """Waits until no run has been under way for IDLE_S: the demo's batch goes on behind its table."""
    deadline, idle_since = time.monotonic() + IDLE_TIMEOUT_S, time.monotonic()
    while time.monotonic() - idle_since < IDLE_S:
        if time.monotonic() > deadline:
            sys.exit("the platform's runs did not end: `make cluster-status` says which there are")
        if cluster.dagster.query(UNDER_WAY)["runsOrError"]["results"]:
            idle_since = time.monotonic()
        time.sleep(2)


def _changes(cluster: Cluster) -> list[float]:
    """Seconds from saving a file to the UI that shows it, one after the other."""
    file = cluster.project.location_folder("spatial") / "src/spatial/defs/places/defs.yaml"
    before, took = file.read_text(), []
    with skaffold_dev(cluster.project):
        try:
            for number in range(CHANGES):
                text = f"Towns of the world, {number}"
                began = time.monotonic()
                file.write_text(before.replace(DESCRIPTION, text))
                until(lambda text=text: text in description_of_places(cluster), seconds=120)
                took.append(time.monotonic() - began)
        finally:
            file.write_text(before)
            until(lambda: DESCRIPTION in description_of_places(cluster), seconds=120)
    return took


def _forget_what_was_built() -> None:
    """Takes the images of ours and all of the engine's build cache away; base images stay."""
    ours = run(["docker", "images", "--filter", "reference=terrane/*", "--format", "{{.Repository}}:{{.Tag}}"]).split()
    if ours:
        run(["docker", "image", "rm", "--force", *ours])
    run(["docker", "builder", "prune", "--all", "--force"])


def _load() -> float:
    """Processes that wanted a processor in the last minute."""
    return round(os.getloadavg()[0], 1)


def _note(name: str, seconds: list[float], load: float, command: str = COMMAND) -> None:
    figure = round(statistics.median(seconds), 2)
    merge_figures("platform", {name: figure}, {"command": command, "repeats": len(seconds), "load_before": load})
    print(f"{name}: {figure} (of {', '.join(f'{s:.2f}' for s in seconds)}; load before {load})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
