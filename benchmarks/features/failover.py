"""A Redis cluster of three masters and three replicas: how long a killed master keeps the server from answering."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.features.contender import FEATURES
from benchmarks.features.load import question
from benchmarks.features.repository import view, write_repository
from benchmarks.features.served import fill, our_server
from benchmarks.features.stores import stores
from benchmarks.report import ROOT

sys.path.insert(0, str(ROOT / "libs/terrane_features/tests/support"))
ROWS = 10_000
ASKED = list(range(1, 101))
PATIENCE_S = 60
# So many answers one after another, and the failover is over.
IN_A_ROW = 40


def failover(repeats: int) -> dict[str, float]:
    """Seconds from the kill to the last question that was refused; the longest of the repeats, each a cluster anew."""
    found = [_once() for _ in range(repeats)]
    return {
        "cluster_failover_s": round(max(last for last, _ in found), 2),
        "cluster_failover_refused": max(refused for _, refused in found),
        "cluster_failover_wrong": 0,
    }


def _once() -> tuple[float, int]:
    from redis_kinds import failing_cluster

    with stores() as both, failing_cluster() as cluster, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        both.sql("create schema feast")
        both.make_table(ROWS)
        nodes = ",".join(f"127.0.0.1:{port}" for port in cluster.ports)
        online = f"type: redis\n  redis_type: redis_cluster\n  connection_string: '{nodes},password=\"${{CLUSTER}}\"'"
        write_repository(folder, view("users", f"gold.users_{ROWS}", FEATURES), online=online)
        environment = both.environment() | {"CLUSTER": cluster.password}
        fill(folder, environment)
        with our_server(folder, environment) as server:
            expected = _ask(server.port)
            if expected[0] != 200 or None in expected[1]["results"][1]["values"]:
                raise SystemExit(f"the cluster does not serve: {expected}")
            os.kill(cluster.master.pid, signal.SIGKILL)
            return _watched(server.port, expected)


def _watched(port: int, expected: tuple[int, dict]) -> tuple[float, int]:
    began, last, refused, well = time.monotonic(), 0.0, 0, 0
    while well < IN_A_ROW or not refused:
        status, content = _ask(port)
        at = time.monotonic() - began
        if status == 503:
            last, refused, well = at, refused + 1, 0
        elif (status, content) != expected:
            raise SystemExit(f"a wrong answer {at:.1f} s after the kill: {status} {content}")
        else:
            well += 1
        if at > PATIENCE_S:
            raise SystemExit("the failover did not come to an end")
        time.sleep(0.02)
    return last, refused


def _ask(port: int) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    head, _, body = question(ASKED).partition(b"\r\n\r\n")
    connection.request("POST", head.split()[1].decode(), body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read())
