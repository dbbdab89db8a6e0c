"""Point-in-time training sets: ours beside stock's, every row equal, and streamed at ten times the size."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.features.repository import view, write_repository
from benchmarks.features.stores import Stores, stores
from benchmarks.features.training_contender import SERVICE
from benchmarks.report import ROOT, median_ratio

VIEWS = 5
# Events an entity has in each view, over a hundred days; every third view has a second row of some events, made later.
EVENTS = 5
USERS_SHARE = 10
FEATURES = {"clicks": "Int64", "score": "Float64", "plan": "String"}
TABLE_SQL = """
    create table gold.history_{v} as select u as user_id,
        '2026-01-01Z'::timestamptz + ((u * 7919 + e * 104729 + {v} * 31) % 8640000) * interval '1 s' as event_timestamp,
        '2026-06-01Z'::timestamptz as created, (u * e + {v}) as clicks_{v}, (u % 997) / 7.0::float8 + e as score_{v},
        case when u % 10 = 0 then null else 'plan ' || e end as plan_{v}
    from generate_series(1::bigint, {users}) u, generate_series(1::bigint, {events}) e;
    delete from gold.history_{v} a using gold.history_{v} b where a.ctid < b.ctid
        and (a.user_id, a.event_timestamp) = (b.user_id, b.event_timestamp);
"""
LATER_SQL = """
    insert into gold.history_{v}
    select user_id, event_timestamp, created + interval '1 day', clicks_{v} + 1, null, 'later' from gold.history_{v}
    where user_id % 5 = 0;
"""
QUESTIONS_SQL = """
    create table gold.questions as select 1 + (n * 7907 % ({users} + 10))::bigint as user_id, n as label,
        '2026-01-11Z'::timestamptz + (n * 15485863 % 8640000) * interval '1 s' as event_timestamp
    from generate_series(0::bigint, {rows} - 1) n;
    analyze
"""


def beside_stock(rows: int, repeats: int) -> dict[str, float]:
    """Time and CPU (client's and Postgres') of stock over ours, for so many questions over VIEWS views."""
    with stores() as both, tempfile.TemporaryDirectory(prefix="terrane-bench-") as made:
        folder = _prepared(both, Path(made), rows)
        turns: dict[str, list[dict[str, Any]]] = {"stock": [], "ours": []}
        for _ in range(repeats):
            for who, into in turns.items():
                into.append(_one(both, folder, who, rows))
        _same(folder / "stock.parquet", folder / "ours.parquet")
        return {
            "training_vs_stock": _ratio(turns, "seconds"),
            "training_vs_stock_cpu": _ratio(turns, "cpu_s"),
            "training_stock_peak_mb": round(max(one["peak_mb"] for one in turns["stock"])),
            "training_peak_mb_of_compared": round(max(one["peak_mb"] for one in turns["ours"]), 1),
            "training_s": round(statistics.median(one["seconds"] for one in turns["ours"]), 1),
            "training_rows_compared": rows,
        }


def streamed(rows: int) -> dict[str, float]:
    """Memory of our process while so many rows go to Parquet, as many as there are questions."""
    with stores() as both, tempfile.TemporaryDirectory(prefix="terrane-bench-") as made:
        found = _one(both, _prepared(both, Path(made), rows), "ours", rows)
    return {"training_peak_mb": round(found["peak_mb"], 1), "training_streamed_s": round(found["seconds"], 1)}


def _prepared(both: Stores, folder: Path, rows: int) -> Path:
    users = max(10, rows // USERS_SHARE)
    both.sql("create schema gold; create schema feast")
    for v in range(VIEWS):
        both.sql(TABLE_SQL.format(v=v, users=users, events=EVENTS))
        if v % 3 == 0:
            both.sql(LATER_SQL.format(v=v))
    both.sql(QUESTIONS_SQL.format(users=users, rows=rows))
    lines = []
    for v in range(VIEWS):
        more = {"ttl_days": "30" if v % 2 else "0", **({"created": "created"} if v % 3 == 0 else {})}
        lines.append(view(f"history_{v}", f"gold.history_{v}", {f"{n}_{v}": t for n, t in FEATURES.items()}, **more))
    names = ", ".join(f"history_{v}" for v in range(VIEWS))
    write_repository(folder, "".join(lines) + f"service = FeatureService(name={SERVICE!r}, features=[{names}])\n")
    command = [str(Path(sys.executable).parent / "feast"), "--chdir", str(folder), "apply"]
    done = subprocess.run(command, env=both.environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return folder


def _one(both: Stores, folder: Path, who: str, rows: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.features.training_contender", who, str(folder)]
    command += [str(both.pids()[0]), str(rows), str(folder / f"{who}.parquet")]
    done = subprocess.run(command, env=both.environment(), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{who} failed: {done.stderr[-3000:]}")
    measured = json.loads(done.stdout)
    if measured["rows"] != rows:
        raise SystemExit(f"{who} made {measured['rows']} rows of {rows} questions")
    print(f"{who}: {measured}", flush=True)
    return measured


def _same(stock: Path, ours: Path) -> None:
    """Every row of one is a row of the other, value by value; a question's label is in no other row."""
    theirs, mine = (pq.read_table(file).sort_by("label") for file in (stock, ours))
    for name in mine.column_names:
        expected, got = theirs.column(name), mine.column(name)
        if name == "event_timestamp":
            # Stock says nothing of the zone, which is UTC.
            expected, got = (c.cast(pa.timestamp("us", "UTC")).cast(pa.int64()) for c in (expected, got))
        if not got.cast(expected.type).combine_chunks().equals(expected.combine_chunks()):
            raise SystemExit(f"stock's column {name} and ours differ")
    if set(theirs.column_names) != set(mine.column_names):
        raise SystemExit(f"stock has {theirs.column_names}, and ours {mine.column_names}")


def _ratio(turns: dict[str, list[dict[str, Any]]], what: str) -> float:
    return round(median_ratio([one[what] for one in turns["stock"]], [one[what] for one in turns["ours"]]), 2)
