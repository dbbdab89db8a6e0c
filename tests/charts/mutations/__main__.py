"""Puts one fault after another into the rendered charts, and counts which of them the charts' tests notice.

The tests run once without a fault, which fills the memory with what helm renders; then a child process a fault runs
them again on the changed objects, and stops at the first that fails. What a fault came to is kept below .terrane, under
a digest of charts and tests, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import pytest
from benchmarks.report import merge_figures
from tests.charts import rendering
from tests.charts.mutations.drawn import draw
from tests.charts.mutations.fault import Fault
from tests.charts.mutations.written import WRITTEN

from terrane_cli.project import Project

SEED, DRAWN = 20_261_127, 200
COMMAND = "make mutate-charts"
# A child that takes longer hangs, which no fault excuses: it counts as a survivor.
LONGEST_SECONDS = 300
# Modules whose tests ask no render of a fault's, or ask it of servers.
LEFT_OUT = (
    "store_servers",
    "packaging",
    "dependencies",
    "official_chart",
    "values",
    "production",
    "chart_docs",
    "notes",
)
# Those that notice most come first, for a child ends at the first test that fails.
FIRST = ("test_processes", "test_identity", "test_network", "test_volumes", "test_configuration", "test_hooks")


class Mutations:
    """A plugin of pytest: after the tests, the same tests once for each fault."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.kept = _kept(project)
        self.faults: dict[str, list[str]] = {"planted": [], "drawn": []}
        self.skipped = 0
        self._failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        order = {name: place for place, name in enumerate(FIRST)}
        items.sort(key=lambda item: order.get(item.path.stem, len(FIRST)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._failed:
            self._failed = report.nodeid.split("/")[-1]
        self.skipped += report.skipped

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        began = time.monotonic()
        if failed := self._run(session):
            raise session.Failed(f"without any fault: {failed}")
        print(f"\n{len(session.items)} tests without a fault: {time.monotonic() - began:.0f} s", flush=True)
        for kind, faults in (("planted", WRITTEN), ("drawn", draw(_objects(), DRAWN, SEED))):
            for fault in faults:
                name = f"{kind}: {fault.name}"
                self.faults[kind].append(name)
                if name not in self.kept:
                    self.kept[name] = self._catcher(session, fault)
                    _keep(self._project, name, self.kept[name])
                    print(f"{self.kept[name] or 'SURVIVED'}  {name}", flush=True)
        return True

    def _run(self, session: pytest.Session) -> str:
        """Runs the tests up to the first that fails; returns its name."""
        self._failed = ""
        following = [*session.items[1:], None]
        for item, next_item in zip(session.items, following, strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
            if self._failed:
                break
        return self._failed

    def _catcher(self, session: pytest.Session, fault: Fault) -> str:
        """The first test that fails with the fault; empty when none does."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            silence = os.open(os.devnull, os.O_WRONLY)
            for stream in (1, 2):
                os.dup2(silence, stream)
            rendering.fault = fault
            os.write(writing, self._run(session).encode())
            os._exit(0)
        os.close(writing)
        deadline = time.monotonic() + LONGEST_SECONDS
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(child, 9)
                os.waitpid(child, 0)
                break
            time.sleep(0.01)
        with os.fdopen(reading) as answer:
            return answer.read()


def main() -> int:
    project = Project.here()
    os.chdir(project.root)
    # One release of the chart is enough to see a fault, and twice as fast.
    os.environ.pop("TERRANE_DAGSTER_CHART_OLDER", None)
    mutations = Mutations(project)
    left_out = [f"--ignore=tests/charts/test_{name}.py" for name in LEFT_OUT]
    with tempfile.TemporaryDirectory() as folder:
        options = ["-q", "--no-header", "-p", "no:cacheprovider", f"--basetemp={folder}/tests"]
        # Not captured: what a child would say is not wanted, and what the parent says is.
        options += ["--capture=no", "--tb=short", "-m", "not integration", *left_out, "tests/charts"]
        if code := pytest.main(options, plugins=[mutations]):
            return int(code)
    caught = {kind: sum(1 for name in names if mutations.kept[name]) for kind, names in mutations.faults.items()}
    planted, drawn = (len(names) for names in mutations.faults.values())
    figures = {
        "mutations_planted": planted,
        "mutations_caught": caught["planted"],
        "mutants_drawn": drawn,
        "mutants_caught_share": round(caught["drawn"] / drawn, 3),
        "chart_tests_skipped": mutations.skipped,
    }
    merge_figures("platform", figures, {"command": COMMAND, "repeats": 1, "seed": SEED})
    survivors = [name for names in mutations.faults.values() for name in names if not mutations.kept[name]]
    print("\n".join(["", f"{len(survivors)} survived:", *survivors]))
    print(f"planted: {caught['planted']} of {planted} caught; drawn: {caught['drawn']} of {drawn}")
    return 0


def _objects() -> list[rendering.Object]:
    """The objects of all profiles, each once."""
    found = {}
    for profile in rendering.PROFILES:
        for o in rendering.first_render(profile).objects:
            found.setdefault((o["kind"], o["metadata"]["name"]), o)
    return list(found.values())


def _state(project: Project) -> Path:
    digest = hashlib.sha256()
    for folder in ("charts", "tests/charts"):
        for file in sorted((project.root / folder).rglob("*")):
            if file.is_file() and file.suffix in {".yaml", ".json", ".tpl", ".py", ".txt"}:
                digest.update(str(file.relative_to(project.root)).encode() + file.read_bytes())
    return project.state / "mutate-charts" / f"{digest.hexdigest()[:16]}.jsonl"


def _kept(project: Project) -> dict[str, str]:
    file = _state(project)
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = file.read_text().splitlines() if file.exists() else []
    return {name: caught for line in lines for name, caught in json.loads(line).items()}


def _keep(project: Project, name: str, caught: str) -> None:
    with _state(project).open("a") as file:
        file.write(json.dumps({name: caught}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
