"""Feast's `materialize` with stock's engine and with ours, and the floor that plain COPY and redis-py set."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.features.contender import STOCK_BATCH
from benchmarks.features.stores import Stores, stores
from benchmarks.report import ROOT, machine, median_ratio, rounds, table, write_section

ROWS = 1_000_000
ROUNDS = 5
STOCK, NEWER, OVERWRITE, FLOOR = "stock newer-only", "ours newer-only", "ours overwrite", "floor"
NOTES = """One table of users, a bigint key and 8 features (2 bigint, 2 double precision of which one has nulls,
int, bool, a text of few values and one of many), from Postgres into an empty Redis, both on this machine and
without TLS; Redis keeps no log of its commands. Every figure is a process of its own, importing not counted, and
every contender has its turn in each of {rounds} rounds of {rows:,} rows. *Newer-only* asks Redis for what it has
before it writes, which is what stock does unless told otherwise; *overwrite* does not. Stock writes {batch:,} rows
at a time, since without that it holds all of them as objects. The *floor* is COPY as text and redis-py's pipelines
in one loop, the values as they come. Ratios are medians of the rounds' own ratios, of time to time; the hashes of
both engines are compared byte for byte in the tests."""


@dataclass(frozen=True)
class Measure:
    """One materialisation."""

    seconds: float
    cpu_s: float
    rows: int
    peak_mb: float


def figures(rows: int = ROWS, number: int = ROUNDS) -> dict[str, float]:
    """Measures, writes its section of the page, and returns the figures: ratios of time, and of the client's CPU."""
    with stores() as both:
        both.make_table(rows)
        measures: dict[str, list[Measure]] = {name: [] for name in (STOCK, NEWER, OVERWRITE, FLOOR)}
        seconds = rounds(number, {name: _contender(both, name, rows, into) for name, into in measures.items()})
    cpu = {name: [measure.cpu_s for measure in found] for name, found in measures.items()}
    found = {"materialize_peak_mb_1m": max(m.peak_mb for name in (NEWER, OVERWRITE) for m in measures[name])}
    for what, sides in (("", seconds), ("_cpu", cpu)):
        found[f"materialize_newer_vs_stock{what}"] = median_ratio(sides[STOCK], sides[NEWER])
        found[f"materialize_overwrite_vs_stock{what}"] = median_ratio(sides[STOCK], sides[OVERWRITE])
        found[f"materialize_vs_floor{what}"] = median_ratio(sides[FLOOR], sides[OVERWRITE])
    found = {name: round(figure, 2) for name, figure in found.items()}
    write_section("Features: materialise", f"{machine()}\n\n{_page(measures, found, rows, number)}")
    return found


def _contender(both: Stores, name: str, rows: int, into: list[Measure]):
    def turn() -> float:
        into.append(_measure(both, name, rows))
        return into[-1].seconds

    return turn


def _measure(both: Stores, name: str, rows: int) -> Measure:
    """One contender's turn into an empty Redis; ends the benchmark when not every row arrived."""
    both.empty_redis()
    command = [sys.executable, "-m", "benchmarks.features.contender", name, str(rows)]
    done = subprocess.run(command, env=both.environment(), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr[-2000:]}")
    if (keys := both.keys()) != rows:
        raise SystemExit(f"{name} read {rows} rows and left {keys} keys in Redis")
    measure = Measure(**json.loads(done.stdout))
    print(f"{name}: {rows:,} rows in {measure.seconds:.2f} s, peak {measure.peak_mb:.0f} MB", flush=True)
    return measure


def _page(measures: dict[str, list[Measure]], figures: dict[str, float], rows: int, number: int) -> str:
    ratios = {
        STOCK: "1.0",
        NEWER: f"**{figures['materialize_newer_vs_stock']:.1f}**",
        OVERWRITE: f"**{figures['materialize_overwrite_vs_stock']:.1f}**",
        FLOOR: f"{statistics.median(m.seconds for m in measures[STOCK]) / _seconds(measures[FLOOR]):.1f}",
    }
    lines = [[name, *_cells(found), ratios[name]] for name, found in measures.items()]
    header = ["contender", "seconds", "rows a second", "client's CPU seconds", "peak memory, MB", "times stock's speed"]
    return "\n\n".join(
        [
            table(header, lines),
            f"Overwriting is {figures['materialize_vs_floor']:.1f} times as fast as the floor. In CPU seconds"
            f" of the client newer-only takes a {figures['materialize_newer_vs_stock_cpu']:.1f}th of stock's, and"
            f" overwriting a {figures['materialize_overwrite_vs_stock_cpu']:.1f}th.",
            NOTES.format(rounds=number, rows=rows, batch=STOCK_BATCH),
        ]
    )


def _seconds(found: list[Measure]) -> float:
    return statistics.median(m.seconds for m in found)


def _cells(found: list[Measure]) -> list[str]:
    seconds, cpu = _seconds(found), statistics.median(m.cpu_s for m in found)
    peak = max(m.peak_mb for m in found)
    return [f"{seconds:.2f}", f"{found[0].rows / seconds:,.0f}", f"{cpu:.2f}", f"{peak:.0f}"]
