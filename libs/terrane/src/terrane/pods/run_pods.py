"""Takes away the Jobs of runs that have ended while their pods have not: `python -m terrane.pods.run_pods`.

Dagster gives up a run whose pod found no node, no image or no Secret, and leaves its Job; a cancelled run of Celery
leaves the Jobs of its steps. Kubernetes would keep such pods until the Jobs' own deadline, which has to be longer than
any run.

A process beside the daemon: it lists the Jobs that did not succeed, and asks the UI for the state of their runs. A
round costs what is under way, and the failed runs of the last hour (with Celery, of the last day), after which
Kubernetes removes their Jobs. It uses the standard library alone, since Dagster's own client would keep 100 MB for one
question a minute.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PERIOD_S = 60
# What a run's own pod has after the run's end, to write its logs: run pods are given two minutes to end.
GRACE_S = 120
TIMEOUT_S = 30
RUN_LABEL = "dagster/run-id"
ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
RUNS = "query ($ids: [String]!) { runsOrError(filter: {runIds: $ids}) { ... on Runs { results { runId status } } } }"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# Touched after each round, for the probe that asks whether there still are any.
ROUND = Path("/tmp/run-pods")  # noqa: S108

Ask = Callable[[str, str, object], Any]
Statuses = Callable[[Iterable[str]], dict[str, str]]


class RunPods:
    """The Jobs of one namespace, as Kubernetes' API has them, and for how long their runs have been seen to be over."""

    def __init__(self, kubernetes: Ask, statuses: Statuses, namespace: str) -> None:
        self._ask = kubernetes
        self._statuses = statuses
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._over_since: dict[str, float] = {}

    def remove_left_over(self, now: float) -> list[str]:
        """Deletes the Jobs that have a pod, and whose run has been over for GRACE_S; returns their names."""
        jobs = self._with_pods()
        statuses = self._statuses(set(jobs.values())) if jobs else {}
        over = {run for run, status in statuses.items() if status in ENDED}
        self._over_since = {run: self._over_since.get(run, now) for run in over}
        due = {run for run, since in self._over_since.items() if now - since >= GRACE_S}
        names = sorted(name for name, run in jobs.items() if run in due)
        for name in names:
            self._ask("DELETE", f"{self._jobs}/{name}", {"propagationPolicy": "Background"})
        return names

    def _with_pods(self) -> dict[str, str]:
        """The run of each Job of Dagster's that has a pod which has not ended."""
        selected = f"labelSelector={RUN_LABEL}&fieldSelector=status.successful=0"
        listed = self._ask("GET", f"{self._jobs}?{selected}", None)["items"]
        metadata = [job["metadata"] for job in listed if (job.get("status") or {}).get("active")]
        return {m["name"]: m["labels"][RUN_LABEL] for m in metadata if "deletionTimestamp" not in m}


def ask_kubernetes(method: str, path: str, body: object) -> Any:
    """Asks the cluster's API as this pod's account. What is gone already is no error."""
    # Read anew each time: Kubernetes replaces the token within an hour.
    headers = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"}
    address = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        return _ask(method, address + path, body, headers, trust)
    except urllib.error.HTTPError as error:
        if method == "DELETE" and error.code == 404:
            return None
        raise


def statuses_of_runs(url: str) -> Statuses:
    """How to ask the UI at this address for the states of runs. A run that it does not know has none."""

    def ask(runs: Iterable[str]) -> dict[str, str]:
        question = {"query": RUNS, "variables": {"ids": sorted(runs)}}
        found = _ask("POST", f"{url}/graphql", question, {})["data"]["runsOrError"]["results"]
        return {run["runId"]: run["status"] for run in found}

    return ask


def _ask(method: str, url: str, body: object, headers: dict[str, str], trust: ssl.SSLContext | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {**headers, "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=trust) as answer:  # noqa: S310
        return json.load(answer)


def main() -> None:
    # As the first process of its container it has no end of its own, and the next daemon waits for this pod's.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    namespace = (ACCOUNT / "namespace").read_text()
    pods = RunPods(ask_kubernetes, statuses_of_runs(os.environ["UI_URL"]), namespace)
    while True:
        try:
            for name in pods.remove_left_over(time.monotonic()):
                print(f"{name}: its run is over, and its pod was not", flush=True)
            ROUND.touch()
        except (OSError, KeyError, TypeError, ValueError) as problem:
            # The UI starts after the daemon, and either may be away for a moment.
            print(f"asked again in {PERIOD_S} s: {problem!r}", file=sys.stderr, flush=True)
        time.sleep(PERIOD_S)


if __name__ == "__main__":
    main()
