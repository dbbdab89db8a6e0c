"""`make bench-analytics`: what dbt through Dagster costs beside dbt alone, and what loading a large project costs.

python -m benchmarks.analytics [--parts builds loading] [--models 200] [--loaded 1000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.analytics import builds, loading
from benchmarks.analytics.projects import variables
from benchmarks.report import merge_figures
from benchmarks.spatial import server

COMMAND = "make bench-analytics"
PARTS = ("builds", "loading")
GOALS = {
    "dbt_vs_build_cpu": 1.3,
    "load_cpu_s_1000_models": 2.5,
    "load_rss_mb_1000_models": 150,
    "snapshot_mb_1000_models": 2,
    "snapshot_plain_mb_1000_models": 6,
    "load_cpu_s_spatial": 1,
    "load_cpu_s_features": 1,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--loaded", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    found: dict[str, float] = {}
    with server.running() as warehouse, tempfile.TemporaryDirectory(prefix="terrane-dbt-bench-") as scratch:
        at = builds.place(Path(scratch), warehouse, variables(warehouse))
        if "builds" in asked.parts:
            seconds = builds.compare(at, asked.models, asked.repeats)
            for kind, each in seconds.items():
                print(f"{kind}: {', '.join(f'{s:.2f}' for s in each)} CPU s")
            found |= builds.figures(seconds)
        if "loading" in asked.parts:
            found |= loading.measure(at.folder, at.environment, asked.loaded, asked.repeats)
    for name, value in found.items():
        goal = f" (goal: at most {GOALS[name]})" if name in GOALS else ""
        print(f"{name}: {value}{goal}")
    if (asked.models, asked.loaded) == (200, 1000):
        merge_figures("analytics", found, {"command": COMMAND, "repeats": asked.repeats})
    return 0 if all(found[name] <= goal for name, goal in GOALS.items() if name in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
