"""Jobs of runs that are over: which go, and when, with a server in the place of Kubernetes' API and the UI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from terrane.pods import run_pods
from terrane.pods.run_pods import GRACE_S, RunPods, statuses_of_runs

pytestmark = pytest.mark.unit


def _job(name: str, run: str, **status: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"dagster/run-id": run}}, "status": status}


class Servers:
    """Jobs, and the states of runs, as the two APIs tell of them."""

    def __init__(self) -> None:
        self.jobs = {name: _job(name, run, active=1) for name, run in (("waits", "a"), ("step", "a"), ("works", "b"))}
        self.statuses = {"a": "STARTING", "b": "STARTED"}
        self.asked: list[str] = []
        self.url = ""

    def answer(self, method: str, path: str, body: Any) -> Any:
        self.asked.append(f"{method} {path}")
        if path == "/graphql":
            known = [r for r in body["variables"]["ids"] if r in self.statuses]
            return {"data": {"runsOrError": {"results": [{"runId": r, "status": self.statuses[r]} for r in known]}}}
        if method == "GET":
            assert (
                path
                == "/apis/batch/v1/namespaces/here/jobs?labelSelector=dagster/run-id&fieldSelector=status.successful=0"
            )
            return {"items": [*self.jobs.values()]}
        assert body == {"propagationPolicy": "Background"}
        return self.jobs.pop(path.rsplit("/", 1)[1])

    def kubernetes(self, method: str, path: str, body: object) -> Any:
        return run_pods._ask(method, self.url + path, body, {})


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = json.dumps(made.answer(self.command, self.path, json.loads(body) if body else None)).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        made.url = f"http://127.0.0.1:{listening.server_port}"
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield made
        listening.shutdown()


@pytest.fixture
def pods(servers: Servers) -> RunPods:
    return RunPods(servers.kubernetes, statuses_of_runs(servers.url), "here")


@pytest.mark.parametrize("end", ["FAILURE", "CANCELED", "SUCCESS"])
def test_all_jobs_of_a_run_that_is_over_go_after_a_grace_and_no_others(
    end: str, servers: Servers, pods: RunPods
) -> None:
    assert pods.remove_left_over(0) == []
    servers.statuses["a"] = end
    assert pods.remove_left_over(1000) == []
    assert pods.remove_left_over(1000 + GRACE_S - 1) == []
    assert pods.remove_left_over(1000 + GRACE_S) == ["step", "waits"]
    assert [*servers.jobs] == ["works"]


def test_a_run_that_dagster_does_not_know_keeps_its_pod(servers: Servers, pods: RunPods) -> None:
    servers.statuses.clear()
    assert pods.remove_left_over(0) == pods.remove_left_over(10 * GRACE_S) == []


def test_jobs_whose_pods_have_ended_or_that_are_going_are_nobodys_business(servers: Servers, pods: RunPods) -> None:
    servers.statuses = {"a": "FAILURE", "b": "FAILURE"}
    servers.jobs = {"done": _job("done", "a", succeeded=1), "going": _job("going", "b", active=1)}
    servers.jobs["going"]["metadata"]["deletionTimestamp"] = "2026-11-27T20:00:00Z"
    assert pods.remove_left_over(0) == pods.remove_left_over(10 * GRACE_S) == []
    # Where no pod is alive the UI is left in peace.
    assert [asked for asked in servers.asked if "graphql" in asked] == []
    assert sorted(servers.jobs) == ["done", "going"]


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "namespace").write_text("here")
    # Without an account's token every round fails, and is tried again.
    account = f"run_pods.ACCOUNT = pathlib.Path({str(tmp_path)!r})"
    command = [sys.executable, "-c", f"import pathlib; from terrane.pods import run_pods; {account}; run_pods.main()"]
    environment = os.environ | {"UI_URL": "http://127.0.0.1:9"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr
        assert "asked again in 60 s" in process.stderr.readline()
        process.terminate()
        # By itself: the signal's own end would be -15, which the first process of a container does not have.
        assert process.wait(timeout=20) == 0
