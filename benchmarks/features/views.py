"""What a run of a view costs beside others: 50 rows beside a million, a hundred such views, three of five million."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.features.contender import FEATURES
from benchmarks.features.repository import view, write_repository
from benchmarks.features.stores import Stores, stores
from benchmarks.report import ROOT

SMALL_ROWS = 50
SMALL = {"clicks": "Int64", "score": "Float64"}
SMALL_SQL = """
    create table gold.small_{n} as select u as user_id, now() - u * interval '1 minute' as event_timestamp,
    u * {n} as clicks, u / 7.0::float8 as score from generate_series(1::bigint, {rows}) u
"""


def beside_a_million(rows: int, repeats: int) -> dict[str, float]:
    """A view of SMALL_ROWS whose entity has a view of `rows`: CPU of its run, of the client and both servers."""
    with _repository(rows, 1) as (both, folder):
        found = _runs(both, folder, ["users", "small_1", *["small_1"] * repeats])[2:]
        return {
            "small_view_cpu_s_beside_1m": _median(_cpu(found)),
            "small_view_servers_cpu_s_beside_1m": _median([run["servers_cpu_s"] for run in found]),
        }


def hundred_views(rows: int, repeats: int) -> dict[str, float]:
    """A run of 100 views of SMALL_ROWS over a run of one of them, beside `rows`; all of one repository."""
    names = [f"small_{n}" for n in range(1, 101)]
    with _repository(rows, len(names)) as (both, folder):
        all_of_them = ",".join(names)
        found = _runs(both, folder, ["users", all_of_them, *[names[0], all_of_them] * repeats])[2:]
        one, many = _cpu(found[::2]), _cpu(found[1::2])
        return {
            "views_100_cpu_vs_1": _median([m / o for m, o in zip(many, one, strict=True)]),
            "views_100_cpu_s": _median(many),
            "views_1_of_100_cpu_s": _median(one),
        }


def peak_of_three(rows: int) -> dict[str, float]:
    """Memory of a run of three views of one table, as the asset runs it, checks and statistics and all."""
    with stores() as both, tempfile.TemporaryDirectory(prefix="terrane-bench-") as folder:
        both.make_table(rows)
        definitions = "".join(view(f"users_{n}", f"gold.users_{rows}", FEATURES) for n in range(3))
        write_repository(Path(folder), definitions)
        (found,) = _runs(both, Path(folder), ["users_0,users_1,users_2"])
        if found["keys"] != 3 * rows or both.keys() != rows:
            raise SystemExit(f"three views of {rows} rows left {found['keys']} rows in {both.keys()} keys")
        return {
            "materialize_peak_mb_5m": round(found["peak_mb"], 1),
            "materialize_3_views_5m_s": round(found["seconds"], 1),
            "materialize_3_views_5m_cpu_s": round(found["cpu_s"], 1),
        }


@contextmanager
def _repository(rows: int, small: int) -> Iterator[tuple[Stores, Path]]:
    """`users`, a view of so many rows, and `small_1` and on."""
    with stores() as both, tempfile.TemporaryDirectory(prefix="terrane-bench-") as folder:
        both.make_table(rows)
        both.sql(";".join(SMALL_SQL.format(n=n, rows=SMALL_ROWS) for n in range(1, small + 1)))
        views = [view("users", f"gold.users_{rows}", FEATURES)]
        views += [view(f"small_{n}", f"gold.small_{n}", SMALL) for n in range(1, small + 1)]
        write_repository(Path(folder), "".join(views))
        yield both, Path(folder)


def _runs(both: Stores, folder: Path, runs: Sequence[str]) -> list[dict[str, float]]:
    pids = ",".join(map(str, both.pids()))
    command = [sys.executable, "-m", "benchmarks.features.view_runs", str(folder), pids, *runs]
    done = subprocess.run(command, env=both.environment(), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"a run failed: {done.stderr[-3000:]}")
    return json.loads(done.stdout)


def _cpu(runs: Sequence[dict[str, float]]) -> list[float]:
    return [run["cpu_s"] + run["servers_cpu_s"] for run in runs]


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)
