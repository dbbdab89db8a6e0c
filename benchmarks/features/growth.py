"""How much memory the worst valid questions take beyond what the server had when it became ready."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.features.processor import peak_mb, resident_mb
from benchmarks.features.repository import view, write_repository
from benchmarks.features.served import Served, asked, fill, our_server
from benchmarks.features.stores import stores
from benchmarks.features.worst_questions import FEATURES_A_VIEW

VIEWS = 50
CONNECTIONS = 8
ROWS = 20_000
TABLE_SQL = """
    create schema gold; create schema feast;
    create table gold.wide as select u as user_id, {columns},
        '2026-01-01Z'::timestamptz + u * interval '1 s' as event_timestamp from generate_series(1::bigint, {rows}) u
"""


def growth(questions: int, repeats: int) -> dict[str, float]:
    """Peak of the server's resident memory over that at its start; the worst of the repeats, each a new server."""
    found = []
    for _ in range(repeats):
        with _served() as server:
            start = resident_mb(server.pid)
            answers = asked("worst_questions", server.port, questions, CONNECTIONS, VIEWS)
            found.append((peak_mb(server.pid) - start, resident_mb(server.pid) - start, answers))
    peak, end, answers = max(found, key=lambda one: one[0])
    return {
        "server_growth_mb": round(peak, 1),
        "server_growth_at_the_end_mb": round(end, 1),
        "server_growth_questions": sum(answers["statuses"].values()),
        "server_growth_unavailable": answers["statuses"].get("503", 0),
        "server_growth_answered_mb": round(answers["bytes"] / 2**20),
    }


@contextmanager
def _served() -> Iterator[Served]:
    """VIEWS views of FEATURES_A_VIEW numbers each, all from one table."""
    names = [f"f_{n}" for n in range(FEATURES_A_VIEW)]
    columns = ", ".join(f"(u * {n + 7} % 1000003)::bigint as {name}" for n, name in enumerate(names))
    with stores() as both, tempfile.TemporaryDirectory(prefix="terrane-bench-") as folder:
        both.sql(TABLE_SQL.format(columns=columns, rows=ROWS))
        views = [view(f"view_{v}", "gold.wide", dict.fromkeys(names, "Int64")) for v in range(VIEWS)]
        write_repository(Path(folder), "".join(views))
        fill(Path(folder), both.environment())
        with our_server(Path(folder), both.environment()) as server:
            yield server
