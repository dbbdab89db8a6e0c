"""How long a question for one entity takes beside those who ask for 5,000, and beside those who never finish asking."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.features.contender import FEATURES
from benchmarks.features.load import IDS
from benchmarks.features.repository import view, write_repository
from benchmarks.features.served import Served, asked, fill, our_server
from benchmarks.features.stores import stores

LARGE = 2
ENDLESS = 20


def mixed(seconds: int, repeats: int) -> dict[str, float]:
    """p99 of one-entity questions beside LARGE connections that ask for 5,000 users each without a pause."""
    with _served() as server:
        alone = [asked("probe", server.port, seconds, 0, 0) for _ in range(repeats)]
        found = [asked("probe", server.port, seconds, LARGE, 0) for _ in range(repeats)]
    return {
        "p99_ms_mixed": round(statistics.median(one["p99_ms"] for one in found), 2),
        "p99_ms_alone": round(statistics.median(one["p99_ms"] for one in alone), 2),
        "p50_ms_mixed": round(statistics.median(one["p50_ms"] for one in found), 2),
    }


def slow_clients(seconds: int, repeats: int) -> dict[str, float]:
    """The worst answer beside ENDLESS clients that never end their header, and without them."""
    with _served() as server:
        alone = [asked("probe", server.port, seconds, 0, 0) for _ in range(repeats)]
        found = [asked("probe", server.port, seconds, 0, ENDLESS) for _ in range(repeats)]
    return {
        "slow_client_delay_ms": round(statistics.median(one["worst_ms"] for one in found), 1),
        "slow_client_alone_ms": round(statistics.median(one["worst_ms"] for one in alone), 1),
        "slow_client_p99_ms": round(statistics.median(one["p99_ms"] for one in found), 2),
    }


@contextmanager
def _served() -> Iterator[Served]:
    with stores() as both, tempfile.TemporaryDirectory(prefix="terrane-bench-") as folder:
        both.sql("create schema feast")
        both.make_table(IDS)
        write_repository(Path(folder), view("users", f"gold.users_{IDS}", FEATURES))
        fill(Path(folder), both.environment())
        with our_server(Path(folder), both.environment()) as server:
            yield server
