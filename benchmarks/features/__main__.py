"""`make bench-features`: materialising, serving and training sets beside stock Feast, and what they cost at worst.

python -m benchmarks.features [--parts materialize serve small_view many_views memory growth mixed slow_client failover
training streamed] [--repeats 3] and the sizes that --help lists. Each part writes its own figures.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.report import RESULTS, machine, merge_figures, table, write_section

COMMAND = "make bench-features"


@dataclass(frozen=True)
class Goal:
    """What a figure should be: at least, or at most; and what it says."""

    limit: float
    at_least: bool
    what: str

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


GOALS = {
    "materialize_newer_vs_stock": Goal(15, True, "times stock's speed, a million rows"),
    "materialize_overwrite_vs_stock": Goal(20, True, "the same, without a look at what is online"),
    "materialize_vs_floor": Goal(2, True, "times the speed of COPY and redis-py's pipelines"),
    "materialize_peak_mb_5m": Goal(400, False, "memory of a run of three views of five million rows, checks and all"),
    "serve_1_vs_stock": Goal(8, True, "times stock's answers a second, one user"),
    "serve_100_vs_stock": Goal(20, True, "the same, 100 users"),
    "serve_100_p50_ms": Goal(0.6, False, "one connection, 100 users"),
    "small_view_cpu_s_beside_1m": Goal(1, False, "CPU of a run of 50 rows beside a million of its entity"),
    "views_100_cpu_vs_1": Goal(110, False, "CPU of a run of 100 such views over that of one"),
    "server_growth_mb": Goal(64, False, "peak over the start, different valid questions of the worst kinds"),
    "slow_client_delay_ms": Goal(50, False, "worst answer beside 20 clients that never end their header"),
    "p99_ms_mixed": Goal(20, False, "one user, beside two connections that ask for 5,000 users without a pause"),
    "cluster_failover_s": Goal(15, False, "from a master's end to the last refused question, node timeout 2 s"),
    "training_vs_stock": Goal(3, True, "times stock's speed, five views, every row equal"),
    "training_peak_mb": Goal(500, False, "memory while a training set goes to Parquet"),
    "repositories_compared": Goal(500, True, "repositories made at random, as stock Feast and as ours have them"),
    "repositories_different": Goal(0, False, "of them"),
    "repositories_refused_share": Goal(0.05, False, "of them"),
}
# The module and function of a part, and the sizes that it is told.
PARTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "materialize": ("materializing", "figures", ("rows", "rounds")),
    "serve": ("serving", "figures", ("rounds",)),
    "small_view": ("views", "beside_a_million", ("rows", "repeats")),
    "many_views": ("views", "hundred_views", ("rows", "repeats")),
    "memory": ("views", "peak_of_three", ("large",)),
    "growth": ("growth", "growth", ("questions", "repeats")),
    "mixed": ("latency", "mixed", ("seconds", "repeats")),
    "slow_client": ("latency", "slow_clients", ("seconds", "repeats")),
    "failover": ("failover", "failover", ("repeats",)),
    "training": ("training", "beside_stock", ("rows", "repeats")),
    "streamed": ("training", "streamed", ("streamed",)),
}
SIZES = {
    "rows": 1_000_000,
    "large": 5_000_000,
    "streamed": 10_000_000,
    "questions": 100_000,
    "seconds": 60,
    "repeats": 3,
    "rounds": 5,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    for size, default in SIZES.items():
        parser.add_argument(f"--{size}", type=int, default=default)
    asked = parser.parse_args()
    missed = []
    for name in asked.parts:
        found = _measured(name, asked)
        missed += [f for f, value in found.items() if f in GOALS and not GOALS[f].met(value)]
    _write_page()
    if missed:
        print(f"goals that are missed: {', '.join(missed)}")
    return 1 if missed else 0


def _measured(name: str, asked: argparse.Namespace) -> dict[str, float]:
    """Runs one part, and keeps its figures."""
    module, function, sizes = PARTS[name]
    told = {size: getattr(asked, size) for size in sizes}
    load = round(os.getloadavg()[0], 1)
    run: Callable[..., dict[str, float]] = getattr(importlib.import_module(f"benchmarks.features.{module}"), function)
    found = run(*told.values())
    merge_figures("features", found, {"command": f'{COMMAND} PARTS="{name}"', "load_before": load, **told})
    for figure, value in found.items():
        print(f"{figure}: {value}", flush=True)
    return found


def _write_page() -> None:
    """The section of goals, from all figures that are kept."""
    figures = json.loads((RESULTS / "features.json").read_text())
    rows = [[f, figures[f], goal, goal.what, _origin(figures, f)] for f, goal in GOALS.items() if f in figures]
    header = ["figure", "measured", "goal", "what it is", "measured at"]
    write_section("Features: goals", f"{machine()}\n\n{table(header, rows)}")


def _origin(figures: dict, figure: str) -> str:
    how = figures["how"].get(figure, {})
    sizes = [f"{how[size]:,} {size}" for size in SIZES if size in how]
    load = [f"load {how['load_before']}"] if "load_before" in how else []
    return ", ".join([how.get("date", ""), how.get("commit", ""), *sizes, *load])


if __name__ == "__main__":
    raise SystemExit(main())
