"""Serving: our feature server beside `feast serve`, over the same rows of the same Redis, in turns."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.features.contender import FEATURES
from benchmarks.features.load import IDS
from benchmarks.features.processor import cpu_seconds
from benchmarks.features.repository import REDIS, SETTINGS
from benchmarks.features.stores import Stores, stores
from benchmarks.report import ROOT, machine, median_ratio, table, write_section
from terrane_dev.servers.process import free_port, stop

ROUNDS = 7
SECONDS = 2.0
START_TIMEOUT_S = 120
PYTHON = Path(sys.executable)
# What is measured: connections, and users a question.
CASES = [(8, 1), (8, 100), (1, 1), (1, 100)]
PREPARE = """
import sys, psycopg, os
from datetime import UTC, datetime, timedelta
from feast import Entity, FeatureStore, FeatureView, Field, ValueType, types
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from benchmarks.features.contender import FEATURES
e = os.environ
with psycopg.connect(host=e["WAREHOUSE_HOST"], port=e["WAREHOUSE_PORT"], user=e["WAREHOUSE_USER"],
                     password=e["WAREHOUSE_PASSWORD"], dbname=e["WAREHOUSE_DB"]) as connection:
    connection.execute("create schema if not exists feast")
store = FeatureStore(repo_path=sys.argv[1])
user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
source = PostgreSQLSource(name="users", table=f"gold.users_{sys.argv[2]}", timestamp_field="event_timestamp")
schema = [Field(name=name, dtype=getattr(types, kind)) for name, kind in FEATURES.items()]
store.apply([user, FeatureView(name="users", entities=[user], ttl=timedelta(days=3650), schema=schema, source=source)])
store.materialize(datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), feature_views=["users"])
"""


@dataclass(frozen=True)
class Server:
    """A running server: its port, the seconds from its start to its first answer, and its resident memory."""

    port: int
    start_s: float
    pid: int

    @property
    def memory_mb(self) -> float:
        """Of the process and its children."""
        import psutil

        leader = psutil.Process(self.pid)
        return sum(p.memory_info().rss for p in (leader, *leader.children(recursive=True))) / 2**20


def figures(number: int = ROUNDS) -> dict[str, float]:
    """Measures, writes its section of the page, and returns the figures: ratios of answers a second and of CPU."""
    text, found = _run(number)
    write_section("Features: serve", f"{machine()}\n\n{text}")
    return found


def _run(number: int) -> tuple[str, dict[str, float]]:
    with stores() as both, tempfile.TemporaryDirectory(prefix="terrane-bench-") as folder:
        _prepare(both, Path(folder))
        environment = both.environment() | {"FEAST_REPO_PATH": folder, "HOME": folder}
        with _server(_stock_command, environment, folder) as stock, _server(_our_command, environment, folder) as ours:
            _same_answers(stock, ours)
            found = {case: _measured({"stock": stock, "ours": ours}, number, *case) for case in CASES}
            return _report(found, stock, ours, number)


Measured = dict[str, list[dict[str, float]]]


def _measured(servers: dict[str, Server], number: int, connections: int, rows: int) -> Measured:
    """Round after round, every server in its turn."""
    turns = [{name: _load(server, connections, rows) for name, server in servers.items()} for _ in range(number)]
    return {name: [turn[name] for turn in turns] for name in servers}


def _load(server: Server, connections: int, rows: int) -> dict[str, float]:
    command = [PYTHON, "-m", "benchmarks.features.load", server.port, connections, rows, SECONDS]
    cpu = cpu_seconds([server.pid])
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads(done.stdout)
    return found | {"per_cpu_second": found["answers"] / (cpu_seconds([server.pid]) - cpu)}


def _prepare(both: Stores, folder: Path) -> None:
    both.make_table(IDS)
    (folder / "feature_store.yaml").write_text(SETTINGS.replace("ONLINE", REDIS))
    command = [str(PYTHON), "-c", PREPARE, str(folder), str(IDS)]
    done = subprocess.run(command, cwd=ROOT, env=both.environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)


def _stock_command(port: int, folder: str) -> list[str]:
    arguments = ["serve", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--max-requests", "0"]
    return [str(PYTHON.parent / "feast"), "--chdir", folder, *arguments, "--no-access-log"]


def _our_command(port: int, _: str) -> list[str]:
    return [str(PYTHON), "-m", "terrane_features.server", "--port", str(port)]


@contextmanager
def _server(command: Callable[[int, str], list[str]], environment: dict[str, str], folder: str) -> Iterator[Server]:
    port = free_port()
    with (Path(folder) / f"{port}.log").open("wb") as log:
        began = time.monotonic()
        process = subprocess.Popen(command(port, folder), env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        while True:
            try:
                _ask(port, [1])
                break
            except OSError:
                if process.poll() is not None or time.monotonic() - began > START_TIMEOUT_S:
                    raise SystemExit((Path(folder) / f"{port}.log").read_text()) from None
                time.sleep(0.02)
        yield Server(port, time.monotonic() - began, process.pid)
    finally:
        stop(process)


def _ask(port: int, ids: list[int]) -> dict[str, list]:
    """The answer by name: values and times. Raises OSError."""
    body = {"features": [f"users:{name}" for name in FEATURES], "entities": {"user_id": ids}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/get-online-features", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
        answer = json.load(response)
    names = answer["metadata"]["feature_names"]
    return {n: [r["values"], r["event_timestamps"]] for n, r in zip(names, answer["results"], strict=True)}


def _same_answers(stock: Server, ours: Server) -> None:
    """Before anything is timed: both answer the same."""
    ids = list(range(1, IDS, IDS // 500))
    if _ask(stock.port, ids) != _ask(ours.port, ids):
        raise SystemExit("stock and ours answer differently; a measurement would mean nothing")


def _report(
    found: dict[tuple[int, int], Measured], stock: Server, ours: Server, number: int
) -> tuple[str, dict[str, float]]:
    def median(case: tuple[int, int], who: str, what: str) -> float:
        return statistics.median(one[what] for one in found[case][who])

    def ratio(case: tuple[int, int], what: str = "per_second") -> float:
        mine, theirs = ([one[what] for one in found[case][who]] for who in ("ours", "stock"))
        return median_ratio(mine, theirs)

    rows = []
    for case in CASES:
        cells = [f"{median(case, who, 'per_second'):.0f}" for who in ("stock", "ours")]
        times = [f"{median(case, who, 'p50_ms'):.2f} / {median(case, who, 'p99_ms'):.2f}" for who in ("stock", "ours")]
        share = f"{median(case, 'ours', 'asking_share'):.0%}"
        rows.append([case[1], case[0], *cells, f"{ratio(case):.1f}", *times, share])
    header = [
        "users",
        "connections",
        "stock, 1/s",
        "ours, 1/s",
        "ratio",
        "stock p50 / p99, ms",
        "ours p50 / p99, ms",
        "asking",
    ]
    text = f"""{len(FEATURES)} features of random users among {IDS:,}, over HTTP on loopback, both servers one process;
`feast serve` with one worker that is never recycled. {number} rounds of {SECONDS:.0f} s each in turns, medians; the
ratio is the median of the rounds' own. Servers, Redis and the process that asks (`benchmarks/features/load.py`, raw
sockets, its own process) share the machine's processors; *asking* is the share of one that it took while ours answered.

{table(header, rows)}

From the command to the first answer: stock {stock.start_s:.1f} s, ours {ours.start_s:.1f} s. Resident memory after the
measurements: stock {stock.memory_mb:.0f} MB, ours {ours.memory_mb:.0f} MB."""
    return text, {
        "serve_1_vs_stock": round(ratio((8, 1)), 2),
        "serve_100_vs_stock": round(ratio((8, 100)), 2),
        "serve_1_vs_stock_cpu": round(ratio((8, 1), "per_cpu_second"), 2),
        "serve_100_vs_stock_cpu": round(ratio((8, 100), "per_cpu_second"), 2),
        "serve_100_p50_ms": round(median((1, 100), "ours", "p50_ms"), 3),
        "serve_100_p99_ms": round(median((1, 100), "ours", "p99_ms"), 3),
        "serve_start_s": round(ours.start_s, 2),
        "serve_memory_mb": round(ours.memory_mb, 1),
    }
