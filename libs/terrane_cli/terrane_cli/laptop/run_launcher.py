"""Runs on this machine, with what Dagster's own launcher lacks: whether the process of a run is still alive.

Without it a run whose code server was killed, by Ctrl-C, `down` or a reboot, stays "started" for a day, and what waits
for it waits with it. Run monitoring asks every ten seconds, and fails a run whose process is gone.
"""

from __future__ import annotations

import re
import subprocess

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

STARTED = re.compile(r"Started process for run \(pid: (\d+)\)")
# A number that another program has got since is no run; runs are started by Dagster's server, through multiprocessing.
PYTHON = re.compile(r"python|dagster", re.IGNORECASE)


class LaptopRunLauncher(DefaultRunLauncher):
    """As Dagster's own, and run monitoring can ask it for a run's health."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Failed when the process that said that it runs the run is gone; running when none has said so yet."""
        pid = self._pid(run.run_id)
        if pid is None or is_alive(pid):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {pid} is gone")

    def _pid(self, run_id: str) -> int | None:
        started = self._instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        found = [match for entry in started if (match := STARTED.search(entry.message))]
        return int(found[-1][1]) if found else None


def is_alive(pid: int) -> bool:
    """Whether a Python process of that number runs; one that has ended and was not yet waited for does not."""
    told = subprocess.run(["ps", "-o", "stat=,command=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(told) and not told.startswith("Z") and bool(PYTHON.search(told))
