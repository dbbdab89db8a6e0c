"""`make bench-flow`: loading beside row by row inserts and dlt, a day after ten years, histories, publishing's faults.

python -m benchmarks.flow [--parts loading dlt day histories publishing] [--repeats 7] [--rows 100000]
[--days 3650] [--rows-a-day 1000] [--histories 300]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from benchmarks.flow import connectors, days, loading, publishing
from benchmarks.flow.stores import source
from benchmarks.report import merge_figures
from benchmarks.spatial import server
from terrane_dev.simulation.__main__ import judged_histories

COMMAND = "make bench-flow"
GOALS: dict[str, Callable[[float, dict[str, float]], bool]] = {
    "ingest_vs_row_insert": lambda value, _: value >= 10,
    "ingest_vs_dlt": lambda value, _: value >= 1,
    "day_cost_3650_vs_10": lambda value, _: value <= 1.5,
    "histories_simulated": lambda value, _: value >= 300,
    "updates_lost": lambda value, _: value == 0,
    "unproved_served": lambda value, _: value == 0,
    "runs_beyond_perfect_pct": lambda value, _: value <= 20,
    "publishing_faults_planted": lambda value, _: value >= 20,
    "publishing_faults_survived": lambda value, all_: value == all_["publishing_faults_planted"],
}


def of_loading(asked: argparse.Namespace) -> dict[str, float]:
    with server.running() as warehouse:
        return loading.beside_row_inserts(warehouse, asked.rows, asked.repeats)


def of_dlt(asked: argparse.Namespace) -> dict[str, float]:
    with server.running() as warehouse, source(asked.rows) as url:
        return connectors.beside_dlt(warehouse, url, asked.rows, asked.repeats)


def of_days(asked: argparse.Namespace) -> dict[str, float]:
    how = days.Comparison(many_days=asked.days, repeats=asked.repeats)
    with server.running() as few, server.running() as many, source(asked.rows_a_day) as url:
        return days.compare(few, many, url, asked.rows_a_day, how)


def of_histories(asked: argparse.Namespace) -> dict[str, float]:
    found = judged_histories(asked.histories, Path(".terrane/simulation.jsonl"))
    again, new = (sum(each[name] for each in found) for name in ("again", "new"))
    return {
        "histories_simulated": len(found),
        "updates_lost": sum(len(each["lost"]) for each in found),
        "unproved_served": sum(len(each["unproved"]) for each in found),
        "runs_beyond_perfect_pct": round(100 * again / new, 1),
    }


def of_publishing(_: argparse.Namespace) -> dict[str, float]:
    return publishing.faults()


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "loading": of_loading,
    "dlt": of_dlt,
    "day": of_days,
    "histories": of_histories,
    "publishing": of_publishing,
}
SIZES = {
    "loading": ("rows", "repeats"),
    "dlt": ("rows", "repeats"),
    "day": ("days", "rows_a_day", "repeats"),
    "histories": ("histories",),
    "publishing": (),
}
OF_A_DAY = "users and entries with two days of look-back and the checks of both tables; what dbt builds is not in it"


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=3650)
    parser.add_argument("--rows-a-day", type=int, default=1000)
    parser.add_argument("--histories", type=int, default=300)
    asked = parser.parse_args()
    figures: dict[str, float] = {}
    for name in asked.parts:
        load, found = round(os.getloadavg()[0], 1), PARTS[name](asked)
        how = {size: getattr(asked, size) for size in SIZES[name]}
        note = {"what": OF_A_DAY} if name == "day" else {}
        merge_figures("flow", found, {"command": COMMAND, "load_before": load, **how, **note})
        figures |= found
        for figure, value in found.items():
            print(f"{figure}: {value}", flush=True)
    missed = [name for name, value in figures.items() if name in GOALS and not GOALS[name](value, figures)]
    if missed:
        print(f"goals that are missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
